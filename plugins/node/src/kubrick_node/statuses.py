"""Writes what workers say of their pods to the API: one after the other, of each pod the latest only."""

from collections.abc import Callable

import trio

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api_core import PODS
from kubrick_client import Client
from kubrick_kernel import get_logger
from kubrick_node.persistence import RETRY_SECONDS, TROUBLE, until_done
from kubrick_node.resizing import IN_PROGRESS, PENDING, with_allocation
from kubrick_node.worker import PodWorker

log = get_logger("node")


class Statuses:
    """One node's. Writes while `run` does."""

    def __init__(self, client: Client, node: str) -> None:
        self.shown: Callable[[Object], Object | None] = lambda pod: pod
        """What stands for a pod in the API (a static pod's mirror), None when nothing does."""
        self._client = client
        self._node = node
        self._waiting: dict[str, tuple[PodWorker, Object]] = {}
        self._ready = trio.Event()

    def put(self, worker: PodWorker, status: Object) -> None:
        """To be written soon, unless a later one comes first."""
        self._waiting[worker.uid] = (worker, status)
        self._ready.set()

    async def finish(self, worker: PodWorker, status: Object) -> None:
        """Write the pod's last status and remove it from the API, however long that takes."""
        self._waiting.pop(worker.uid, None)
        metadata = worker.pod["metadata"]

        async def write_and_remove() -> None:
            try:
                await self._write(worker, status)
                await self._client.delete(
                    PODS, metadata["name"], metadata["namespace"], grace_period=0, uid=metadata["uid"]
                )
            except StatusError as error:
                if not _is_gone(error):
                    raise

        await until_done(self._node, write_and_remove)

    async def reject(self, pod: Object, status: Object) -> None:
        """Write the status of a pod that has no worker, however long that takes."""
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}

        async def write() -> None:
            await self._client.patch(
                PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
            )

        await until_done(self._node, write)

    async def run(self) -> None:
        while True:
            await self._ready.wait()
            self._ready = trio.Event()
            while self._waiting:
                uid = next(iter(self._waiting))
                worker, status = self._waiting.pop(uid)
                try:
                    await self._write(worker, status)
                except TROUBLE as trouble:
                    if _is_gone(trouble):
                        continue
                    log.warning("pod status not written", pod=worker.pod["metadata"]["name"], error=str(trouble))
                    self._waiting.setdefault(uid, (worker, status))
                    await trio.sleep(RETRY_SECONDS)

    async def _write(self, worker: PodWorker, status: Object) -> None:
        shown = self.shown(worker.pod)
        if shown is None:
            return
        metadata = shown["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status_patch(shown, status)}
        pod = await self._client.patch(
            PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
        )
        if shown is not worker.pod:
            worker.pod = {**worker.pod, "status": pod["status"]}
            return
        newer = int(pod["metadata"]["resourceVersion"]) > int(metadata["resourceVersion"])
        if newer and "deletionTimestamp" not in pod["metadata"]:
            worker.pod = with_allocation(pod, worker.resize.allocated)


def status_patch(shown: Object, status: Object) -> Object:
    """The strategic merge patch that makes a pod's status `status`: others' conditions stay. Pure."""
    conditions = [{"reason": None, "message": None, **condition} for condition in status["conditions"]]
    told = {condition["type"] for condition in status["conditions"]}
    over = (one["type"] for one in shown.get("status", {}).get("conditions") or () if one["type"] not in told)
    conditions += [{"type": kind, "$patch": "delete"} for kind in over if kind in (PENDING, IN_PROGRESS)]
    return {**status, "conditions": conditions, **_addresses(status, shown.get("status") or {})}


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
