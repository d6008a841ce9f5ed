"""The node agent: registers its node, keeps its Lease and status fresh, and runs a worker per pod.

Pods are handed in (`pod_changed`, `pod_gone`) by whoever watches them: a machine's agent watches its own,
a process with many hollow nodes shares one watch between all of them.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api_coordination import LEASES
from kubrick_api_core import NODES, PODS
from kubrick_client import Client, EventRecorder, Unreachable
from kubrick_client.recorder import reference
from kubrick_kernel import Clock, get_logger, rfc3339
from kubrick_kernel.clock import Random
from kubrick_node import machine as facts
from kubrick_node.admission import Rejection, admit, wants_app_armor
from kubrick_node.plan import is_terminal
from kubrick_node.register import (
    HEALTHY,
    LEASE_NAMESPACE,
    RENEW_SECONDS,
    REPORT_SECONDS,
    STATUS_SECONDS,
    Condition,
    Machine,
    lease_object,
    node_object,
    node_status,
    transitions,
    without_heartbeats,
)
from kubrick_node.resizing import (
    DEFERRED,
    IN_PROGRESS,
    INFEASIBLE,
    PENDING,
    admit_resize,
    adopted,
    changed,
    resources_of,
    summary,
    with_allocation,
)
from kubrick_node.runtime import ContainerRuntime
from kubrick_node.surroundings import Surroundings
from kubrick_node.worker import PodWorker

log = get_logger("node")

RETRY_SECONDS = 1.0
ORPHAN_GRACE = 2.0
TROUBLE = (StatusError, Unreachable)


class NodeAgent:
    """One node. `run` registers it, says started, and works until cancelled; pods go on without it."""

    def __init__(
        self,
        machine: Machine,
        client: Client,
        runtime: ContainerRuntime,
        recorder: EventRecorder,
        clock: Clock,
        generator: Random,
        around: Surroundings | None = None,
        condition: Callable[[], Awaitable[Condition]] | None = None,
        allowed_sysctls: Sequence[str] = (),
    ) -> None:
        self.machine = machine
        self.host_ip = machine.internal_ip
        self.node: Object = {}
        self._client = client
        self._runtime = runtime
        self._recorder = recorder
        self._clock = clock
        self._random = generator
        self._around = around
        self._condition = condition
        self._allowed_sysctls = allowed_sysctls
        self._current = HEALTHY
        self._rejected: set[str] = set()
        self.shown: Callable[[Object], Object | None] = lambda pod: pod
        """What stands for a pod in the API (a static pod's mirror), None when nothing does."""
        self._workers: dict[str, PodWorker] = {}
        self._pods: dict[str, Object] = {}
        self._nursery: trio.Nursery | None = None
        self._statuses: dict[str, tuple[PodWorker, Object]] = {}
        self._status_ready = trio.Event()
        self._reported_at = -math.inf
        runtime.on_change(self._changed)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await self._until_done(self._register)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for pod in list(self._pods.values()):
                    self.pod_changed(pod)
                nursery.start_soon(self._every, RENEW_SECONDS, self._renew)
                nursery.start_soon(self._every, STATUS_SECONDS, self.report_node)
                nursery.start_soon(self._write_statuses)
                task_status.started()
        finally:
            self._nursery = None
            self._workers.clear()

    # Pods, as the API has them.

    @property
    def pods(self) -> list[Object]:
        """The node's pods, as new as they are known."""
        workers = self._workers
        return [workers[uid].pod if uid in workers else pod for uid, pod in self._pods.items()]

    @property
    def tenants(self) -> list[PodWorker]:
        """Those that have not ended and are not on their way out."""
        workers = (one for one in self._workers.values() if one.failed is None and not is_terminal(one.pod))
        return [one for one in workers if "deletionTimestamp" not in one.pod["metadata"]]

    async def reclaim(self) -> None:
        """Remove what is left of pods that have ended: containers' files and logs."""
        for worker in list(self._workers.values()):
            await worker.reclaim()

    def pod_changed(self, pod: Object) -> None:
        """A pod bound to this node is new or has changed."""
        uid = pod["metadata"]["uid"]
        self._pods[uid] = pod
        worker = self._workers.get(uid)
        if worker is not None:
            if "deletionTimestamp" not in pod["metadata"]:
                self._consider_resize(worker, pod)
            worker.update(with_allocation(pod, worker.resize.allocated))
        elif self._nursery is not None and (not is_terminal(pod) or "deletionTimestamp" in pod["metadata"]):
            resize = adopted(pod)
            if not self._admitted(pod):
                return
            allocated = with_allocation(pod, resize.allocated)
            worker = PodWorker(allocated, self._runtime, self, self._clock, self._forget, self._around, resize)
            self._workers[uid] = worker
            self._consider_resize(worker, pod)
            worker.pod = with_allocation(pod, resize.allocated)
            self._nursery.start_soon(worker.run)

    def _admitted(self, pod: Object) -> bool:
        """Whether the node takes the pod; one that has been taken stays, and one that leaves only has to end."""
        uid, metadata = pod["metadata"]["uid"], pod["metadata"]
        if self._around is None or "startTime" in pod.get("status", {}) or "deletionTimestamp" in metadata:
            return True
        if uid in self._rejected:
            return False
        rejection = admit(
            pod,
            self.node,
            self._others(uid),
            self.machine.allocatable,
            self._current.pressures,
            self._allowed_sysctls,
            not wants_app_armor(pod) or facts.app_armor(),
        )
        if rejection is None:
            return True
        self._rejected.add(uid)
        self.event(pod, "Warning", rejection.reason, rejection.message)
        assert self._nursery is not None
        self._nursery.start_soon(self._reject, pod, rejection)
        return False

    def _others(self, uid: str) -> list[Object]:
        """The other pods that take room here, as they were allocated it."""
        others = [worker.pod for other, worker in self._workers.items() if other != uid and worker.failed is None]
        return [other for other in others if not is_terminal(other)]

    def _consider_resize(self, worker: PodWorker, pod: Object) -> None:
        """What the pod asks for may differ from what it was allocated: give it that if there is room."""
        wanted, resize = resources_of(pod), worker.resize
        if not any(changed(resources, resize.allocated.get(name)) for name, resources in wanted.items()):
            resize.pending = None
            return
        generation = pod["metadata"].get("generation", 0)
        refusal = None
        if self._around is not None:
            refusal = admit_resize(pod, self._others(worker.uid), self.machine.allocatable)
        if refusal is None:
            resize.allocated = wanted
            resize.pending, resize.in_progress = None, ("", "", generation)
            self.event(pod, "Normal", "ResizeStarted", f"Pod resize started: {summary(pod, generation)}")
        elif resize.pending != (refusal.reason, refusal.message, generation):
            resize.pending = (refusal.reason, refusal.message, generation)
            text = f"Pod resize {refusal.reason}: {summary(pod, generation, refusal.message)}"
            event = {INFEASIBLE: "ResizeInfeasible", DEFERRED: "ResizeDeferred"}[refusal.reason]
            self.event(pod, "Warning", event, text)
        worker.wake()

    def _retry_resizes(self) -> None:
        """There may be room now for what was deferred."""
        for uid, worker in self._workers.items():
            if worker.resize.pending is not None and worker.resize.pending[0] == DEFERRED and uid in self._pods:
                self.pod_changed(self._pods[uid])

    async def _reject(self, pod: Object, rejection: Rejection) -> None:
        metadata = pod["metadata"]
        status = {
            "phase": "Failed",
            "reason": rejection.reason,
            "message": rejection.status_message,
            "startTime": rfc3339(self._clock.now()),
        }
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}

        async def write() -> None:
            await self._client.patch(
                PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
            )

        await self._until_done(write)

    def pod_gone(self, pod: Object) -> None:
        """The pod is no longer in the API."""
        uid = pod["metadata"]["uid"]
        self._pods.pop(uid, None)
        self._rejected.discard(uid)
        worker = self._workers.get(uid)
        if worker is not None:
            worker.vanish()

    def _forget(self, uid: str) -> None:
        self._workers.pop(uid, None)
        self._retry_resizes()

    def _changed(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake()

    def report_again(self, uid: str) -> None:
        """Whoever shows the pod in the API is new and knows nothing of its status."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.report_again()

    def has_worker(self, uid: str) -> bool:
        """Whether something of the pod may still run."""
        return uid in self._workers

    def stir(self, uid: str) -> None:
        """Something that the pod refers to has changed."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.stir()

    async def clean(self) -> None:
        """End what is left here of pods that are gone from the API. To be called when all pods are known."""
        known = {*self._pods, *self._workers}
        left = set(self._around.known_uids() if self._around is not None else ()) - known
        for pod in await self._runtime.list_pods():
            uid = pod["metadata"]["uid"]
            if uid in known:
                continue
            state = await self._runtime.observe(pod)
            for container in state.containers:
                if container.state == "running":
                    await self._runtime.stop_container(pod, container.id, ORPHAN_GRACE)
            if state.sandbox_id:
                await self._runtime.stop_sandbox(pod, state.sandbox_id)
            await self._runtime.remove(pod)
        for uid in left:
            if self._around is not None:
                await self._around.forget_orphan(uid)

    # What workers say.

    def status(self, worker: PodWorker, status: Object) -> None:
        self._statuses[worker.uid] = (worker, status)
        self._status_ready.set()

    async def finished(self, worker: PodWorker, status: Object) -> None:
        self._statuses.pop(worker.uid, None)
        metadata = worker.pod["metadata"]

        async def write_and_remove() -> None:
            try:
                await self._write_status(worker, status)
                await self._client.delete(
                    PODS, metadata["name"], metadata["namespace"], grace_period=0, uid=metadata["uid"]
                )
            except StatusError as error:
                if not _is_gone(error):
                    raise

        await self._until_done(write_and_remove)

    def event(self, pod: Object, kind: str, reason: str, message: str, container: str = "") -> None:
        about = reference(pod)
        if container:
            about["fieldPath"] = field_path(pod, container)
        self._recorder.event(about, kind, reason, message)

    async def _write_statuses(self) -> None:
        while True:
            await self._status_ready.wait()
            self._status_ready = trio.Event()
            while self._statuses:
                uid = next(iter(self._statuses))
                worker, status = self._statuses.pop(uid)
                try:
                    await self._write_status(worker, status)
                except TROUBLE as trouble:
                    if _is_gone(trouble):
                        continue
                    log.warning("pod status not written", pod=worker.pod["metadata"]["name"], error=str(trouble))
                    self._statuses.setdefault(uid, (worker, status))
                    await trio.sleep(RETRY_SECONDS)

    async def _write_status(self, worker: PodWorker, status: Object) -> None:
        shown = self.shown(worker.pod)
        if shown is None:
            return
        metadata = shown["metadata"]
        conditions = [{"reason": None, "message": None, **condition} for condition in status["conditions"]]
        told = {condition["type"] for condition in status["conditions"]}
        over = (one["type"] for one in shown.get("status", {}).get("conditions") or () if one["type"] not in told)
        conditions += [{"type": kind, "$patch": "delete"} for kind in over if kind in (PENDING, IN_PROGRESS)]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {**status, "conditions": conditions}}
        pod = await self._client.patch(
            PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
        )
        if shown is not worker.pod:
            worker.pod = {**worker.pod, "status": pod["status"]}
            return
        newer = int(pod["metadata"]["resourceVersion"]) > int(metadata["resourceVersion"])
        if newer and "deletionTimestamp" not in pod["metadata"]:
            worker.pod = with_allocation(pod, worker.resize.allocated)

    # The node itself.

    async def _register(self) -> None:
        wanted = node_object(self.machine)
        try:
            node = await self._client.create(NODES, wanted)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            labels = wanted["metadata"]["labels"]
            node = await self._client.get(NODES, self.machine.name)
            have = node["metadata"].get("labels") or {}
            if any(have.get(key) != value for key, value in labels.items()):
                patch = {"metadata": {"labels": labels}}
                node = await self._client.patch(NODES, self.machine.name, patch, kind="merge")
        self.node = node
        self._recorder.event(node, "Normal", "Starting", "Starting kubelet.")
        await self._renew()
        await self.report_node()

    async def _renew(self) -> None:
        name = self.machine.name
        try:
            lease = await self._client.get(LEASES, name, LEASE_NAMESPACE)
        except StatusError as error:
            if error.code != 404:
                raise
            await self._client.create(LEASES, lease_object(self.node, self._clock.now(), None), LEASE_NAMESPACE)
            return
        await self._client.update(LEASES, lease_object(self.node, self._clock.now(), lease))

    def say(self, kind: str, reason: str, message: str) -> None:
        """An event about the node."""
        self._recorder.event(self.node, kind, reason, message)

    async def report_node(self) -> None:
        """Write the node's status, if it says anything new. Raises what the client does."""
        old = self.node.get("status") or {}
        self._retry_resizes()
        if self._condition is not None:
            self._current = await self._condition()
        status = node_status(self.machine, old, self._clock.now(), self._current)
        recent = trio.current_time() - self._reported_at < REPORT_SECONDS
        kept = {key: old.get(key) for key in status}
        if recent and without_heartbeats(kept) == without_heartbeats(status):
            return
        patch = {"status": status}
        if self._condition is not None:
            for reason in transitions(old, status):
                self.say("Normal", reason, f"Node {self.machine.name} status is now: {reason}")
        self.node = await self._client.patch(NODES, self.machine.name, patch, kind="strategic", subresource="status")
        self._reported_at = trio.current_time()

    async def _every(self, seconds: float, act: Any) -> None:
        """Run `act` every so often (with up to 4 % of jitter), whatever happens to it."""
        while True:
            await trio.sleep(seconds * (1 + 0.04 * self._random.random()))
            try:
                await act()
            except TROUBLE as trouble:
                log.warning("node not reported", node=self.machine.name, error=str(trouble))

    async def _until_done(self, act: Any) -> None:
        """Try `act` until it works."""
        while True:
            try:
                await act()
            except TROUBLE as trouble:
                log.warning("will try again", node=self.machine.name, error=str(trouble))
                await trio.sleep(RETRY_SECONDS)
            else:
                return


def field_path(pod: Object, container: str) -> str:
    """Which part of the pod an event about one of its containers is about."""
    lists = ("initContainers", "ephemeralContainers", "containers")
    found = (name for name in lists for one in pod["spec"].get(name) or () if one["name"] == container)
    return f"spec.{next(found, 'containers')}{{{container}}}"


def _is_gone(trouble: Exception) -> bool:
    """The object is not there any more, or is another one of the same name."""
    return isinstance(trouble, StatusError) and (
        trouble.code == 404 or (trouble.code == 409 and "UID" in trouble.message)
    )
