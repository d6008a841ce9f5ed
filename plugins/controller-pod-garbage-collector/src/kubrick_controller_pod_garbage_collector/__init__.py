"""Removes pods that nobody else will: every 20 seconds (see plan.py for which)."""

from collections.abc import Sequence

import trio
from attrs import frozen

from kubrick_api.errors import StatusError
from kubrick_api_core import NODES, PODS
from kubrick_controller import Context, Controller
from kubrick_controller_pod_garbage_collector.plan import Removal, failed_status, is_terminated, removals
from kubrick_kernel import Kernel, hookimpl, rfc3339

SWEEP = "sweep"
SWEEP_SECONDS = 20.0
QUARANTINE_SECONDS = 40.0


@frozen
class Settings:
    """`terminated_pod_threshold`: how many terminated pods may stay; 0 means any number."""

    terminated_pod_threshold: int = 12500


class PodGarbageCollector:
    """One key: the sweep."""

    name = "pod-garbage-collector"
    workers = 1

    def setup(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._queue = context.queue
        self._settings: Settings = context.settings() or Settings()
        self._pods = context.informer(PODS)
        self._nodes = context.informer(NODES)
        self._missing: dict[str, float] = {}
        self._queue.add_after(SWEEP, SWEEP_SECONDS)

    async def reconcile(self, key: str) -> None:
        self._queue.add_after(SWEEP, SWEEP_SECONDS)
        pods = self._pods.list()
        nodes = {node["metadata"]["name"]: node for node in self._nodes.list()}
        lost = await self._lost({pod["spec"].get("nodeName", "") for pod in pods} - nodes.keys() - {""})
        for removal in removals(pods, nodes, lost, self._settings.terminated_pod_threshold):
            await self._remove(removal)

    async def _lost(self, absent: set[str]) -> frozenset[str]:
        """Nodes that have been absent for the quarantine and that the API doesn't know either."""
        now = trio.current_time()
        self._missing = {name: self._missing.get(name, now) for name in sorted(absent)}
        lost: list[str] = []
        for name, since in self._missing.items():
            if now - since < QUARANTINE_SECONDS:
                continue
            try:
                await self._client.get(NODES, name)
            except StatusError as error:
                if error.code != 404:
                    raise
                lost.append(name)
        return frozenset(lost)

    async def _remove(self, removal: Removal) -> None:
        metadata = removal.pod["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        try:
            if removal.condition or not is_terminated(removal.pod):
                message = removal.condition or f"PodGC: {removal.why}"
                patch = failed_status(removal.pod, message, rfc3339(self._clock.now()))
                await self._client.patch(PODS, name, patch, namespace, kind="strategic", subresource="status")
            await self._client.delete(PODS, name, namespace, grace_period=0, uid=metadata["uid"])
        except StatusError as error:
            if error.code not in (404, 409):
                raise


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [PodGarbageCollector()]
