"""The node agent: registers its node, keeps its Lease and status fresh (presence.py), and runs a worker per pod.

Pods are handed in (`pod_changed`, `pod_gone`) by whoever watches them: a machine's agent watches its own,
a process with many hollow nodes shares one watch between all of them.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from kubrick_api.resource import Object
from kubrick_client import Client, EventRecorder
from kubrick_client.recorder import reference
from kubrick_kernel import Clock, get_logger, rfc3339
from kubrick_kernel.clock import Random
from kubrick_node import machine as facts
from kubrick_node.admission import Rejection, admit, wants_app_armor
from kubrick_node.persistence import TROUBLE, until_done
from kubrick_node.plan import is_terminal
from kubrick_node.presence import Presence
from kubrick_node.register import RENEW_SECONDS, RUNTIME_SECONDS, STATUS_SECONDS, Condition, Machine
from kubrick_node.resizing import (
    DEFERRED,
    INFEASIBLE,
    admit_resize,
    adopted,
    changed,
    resources_of,
    summary,
    with_allocation,
)
from kubrick_node.runtime import ContainerRuntime
from kubrick_node.statuses import Statuses
from kubrick_node.surroundings import Surroundings
from kubrick_node.worker import PodWorker

log = get_logger("node")

ORPHAN_GRACE = 2.0


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
        self.statuses = Statuses(client, machine.name)
        self._presence = Presence(machine, client, recorder, clock, condition)
        self._runtime = runtime
        self._recorder = recorder
        self._clock = clock
        self._random = generator
        self._around = around
        self._watched = condition is not None
        self._allowed_sysctls = allowed_sysctls
        self._rejected: set[str] = set()
        self._workers: dict[str, PodWorker] = {}
        self._pods: dict[str, Object] = {}
        self._nursery: trio.Nursery | None = None
        runtime.on_change(self._changed)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await until_done(self.machine.name, self._presence.register)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for pod in list(self._pods.values()):
                    self.pod_changed(pod)
                nursery.start_soon(self._every, RENEW_SECONDS, self._presence.renew)
                nursery.start_soon(self._every, STATUS_SECONDS, self.report_node)
                if self._watched:
                    nursery.start_soon(self._every, RUNTIME_SECONDS, self._look_at_runtime)
                nursery.start_soon(self.statuses.run)
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
            self._presence.current.pressures,
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
        status = {
            "phase": "Failed",
            "reason": rejection.reason,
            "message": rejection.status_message,
            "startTime": rfc3339(self._clock.now()),
        }
        await self.statuses.reject(pod, status)

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
        self.statuses.put(worker, status)

    async def finished(self, worker: PodWorker, status: Object) -> None:
        await self.statuses.finish(worker, status)

    def event(self, pod: Object, kind: str, reason: str, message: str, container: str = "") -> None:
        about = reference(pod)
        if container:
            about["fieldPath"] = field_path(pod, container)
        self._recorder.event(about, kind, reason, message)

    # The node itself.

    @property
    def node(self) -> Object:
        return self._presence.node

    def say(self, kind: str, reason: str, message: str) -> None:
        """An event about the node."""
        self._presence.say(kind, reason, message)

    async def report_node(self) -> None:
        """Write the node's status, if it says anything new. Raises what the client does."""
        self._retry_resizes()
        await self._presence.report()

    async def _look_at_runtime(self) -> None:
        """Not to wait for the next report when pods can't be run any more, or can again."""
        if (await self._runtime.health()).ready == bool(self._presence.current.not_ready):
            await self.report_node()

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Run `act` every so often (with up to 4 % of jitter), whatever happens to it."""
        while True:
            await trio.sleep(seconds * (1 + 0.04 * self._random.random()))
            try:
                await act()
            except TROUBLE as trouble:
                log.warning("node not reported", node=self.machine.name, error=str(trouble))


def field_path(pod: Object, container: str) -> str:
    """Which part of the pod an event about one of its containers is about."""
    lists = ("initContainers", "ephemeralContainers", "containers")
    found = (name for name in lists for one in pod["spec"].get(name) or () if one["name"] == container)
    return f"spec.{next(found, 'containers')}{{{container}}}"
