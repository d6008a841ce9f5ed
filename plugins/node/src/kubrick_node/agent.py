"""The node agent: registers its node, keeps its Lease and status fresh, and runs a worker per pod.

Pods are handed in (`pod_changed`, `pod_gone`) by whoever watches them: a machine's agent watches its own,
a process with many hollow nodes shares one watch between all of them.
"""

import math
from typing import Any

import trio

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api_coordination import LEASES
from kubrick_api_core import NODES, PODS
from kubrick_client import Client, EventRecorder, Unreachable
from kubrick_client.recorder import reference
from kubrick_kernel import Clock, get_logger
from kubrick_kernel.clock import Random
from kubrick_node.plan import is_terminal
from kubrick_node.register import (
    LEASE_NAMESPACE,
    RENEW_SECONDS,
    REPORT_SECONDS,
    STATUS_SECONDS,
    Machine,
    lease_object,
    node_object,
    node_status,
    without_heartbeats,
)
from kubrick_node.runtime import ContainerRuntime
from kubrick_node.worker import PodWorker

log = get_logger("node")

RETRY_SECONDS = 1.0
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
    ) -> None:
        self.machine = machine
        self.host_ip = machine.internal_ip
        self.node: Object = {}
        self._client = client
        self._runtime = runtime
        self._recorder = recorder
        self._clock = clock
        self._random = generator
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

    def pod_changed(self, pod: Object) -> None:
        """A pod bound to this node is new or has changed."""
        uid = pod["metadata"]["uid"]
        self._pods[uid] = pod
        worker = self._workers.get(uid)
        if worker is not None:
            worker.update(pod)
        elif self._nursery is not None and (not is_terminal(pod) or "deletionTimestamp" in pod["metadata"]):
            worker = PodWorker(pod, self._runtime, self, self._clock, self._forget)
            self._workers[uid] = worker
            self._nursery.start_soon(worker.run)

    def pod_gone(self, pod: Object) -> None:
        """The pod is no longer in the API."""
        uid = pod["metadata"]["uid"]
        self._pods.pop(uid, None)
        worker = self._workers.get(uid)
        if worker is not None:
            worker.vanish()

    def _forget(self, uid: str) -> None:
        self._workers.pop(uid, None)

    def _changed(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake()

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
        metadata = worker.pod["metadata"]
        conditions = [{"reason": None, "message": None, **condition} for condition in status["conditions"]]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {**status, "conditions": conditions}}
        pod = await self._client.patch(
            PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
        )
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
        status = node_status(self.machine, old, self._clock.now())
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


def _is_gone(trouble: Exception) -> bool:
    """The object is not there any more, or is another one of the same name."""
    return isinstance(trouble, StatusError) and (
        trouble.code == 404 or (trouble.code == 409 and "UID" in trouble.message)
    )
