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
from kubrick_node.admission import Rejection, admit
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
    without_heartbeats,
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
                nursery.start_soon(self._every, STATUS_SECONDS, self._report_node)
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

    def pod_changed(self, pod: Object) -> None:
        """A pod bound to this node is new or has changed."""
        uid = pod["metadata"]["uid"]
        self._pods[uid] = pod
        worker = self._workers.get(uid)
        if worker is not None:
            worker.update(pod)
        elif self._nursery is not None and (not is_terminal(pod) or "deletionTimestamp" in pod["metadata"]):
            if not self._admitted(pod):
                return
            worker = PodWorker(pod, self._runtime, self, self._clock, self._forget, self._around)
            self._workers[uid] = worker
            self._nursery.start_soon(worker.run)

    def _admitted(self, pod: Object) -> bool:
        """Whether the node takes the pod; one that has been taken stays, and one that leaves only has to end."""
        uid, metadata = pod["metadata"]["uid"], pod["metadata"]
        if self._around is None or "startTime" in pod.get("status", {}) or "deletionTimestamp" in metadata:
            return True
        if uid in self._rejected:
            return False
        others = [worker.pod for worker in self._workers.values() if worker.failed is None]
        others = [other for other in others if not is_terminal(other)]
        rejection = admit(
            pod, self.node, others, self.machine.allocatable, self._current.pressures, self._allowed_sysctls
        )
        if rejection is None:
            return True
        self._rejected.add(uid)
        self.event(pod, "Warning", rejection.reason, rejection.message)
        assert self._nursery is not None
        self._nursery.start_soon(self._reject, pod, rejection)
        return False

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

    def _changed(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake()

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
            about["fieldPath"] = f"spec.containers{{{container}}}"
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
        written = {**status, "conditions": conditions, **_addresses(status, shown.get("status") or {})}
        patch = {"metadata": {"uid": metadata["uid"]}, "status": written}
        pod = await self._client.patch(
            PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
        )
        if shown is not worker.pod:
            worker.pod = {**worker.pod, "status": pod["status"]}
            return
        newer = int(pod["metadata"]["resourceVersion"]) > int(metadata["resourceVersion"])
        if newer and "deletionTimestamp" not in pod["metadata"]:
            worker.pod = pod

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
        await self._report_node()

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

    async def _report_node(self) -> None:
        old = self.node.get("status") or {}
        if self._condition is not None:
            self._current = await self._condition()
        status = node_status(self.machine, old, self._clock.now(), self._current)
        recent = trio.current_time() - self._reported_at < REPORT_SECONDS
        kept = {key: old.get(key) for key in status}
        if recent and without_heartbeats(kept) == without_heartbeats(status):
            return
        patch = {"status": status}
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


def _addresses(status: Object, before: Object) -> Object:
    """The lists of addresses that lose some, which a strategic patch has to say."""
    lists = {}
    for name in ("podIPs", "hostIPs"):
        fresh = status.get(name) or []
        lost = [entry for entry in before.get(name) or () if entry not in fresh]
        if fresh and lost:
            lists[name] = [*fresh, *({"$patch": "delete", **entry} for entry in lost)]
    return lists


def _is_gone(trouble: Exception) -> bool:
    """The object is not there any more, or is another one of the same name."""
    return isinstance(trouble, StatusError) and (
        trouble.code == 404 or (trouble.code == 409 and "UID" in trouble.message)
    )
