"""Ends containers: preStop hooks first, then the signal, apps before sidecars, all within one grace. Thin;
plan.stop_order says the order.

Source: the kubelet's killContainersWithSyncResult and termination ordering (KEP-753): the hooks of all containers
begin at once, and what they use of the grace is gone.
"""

from collections.abc import Callable
from typing import Any

import trio

from kubrick_node.actions import HookFailure
from kubrick_node.plan import stop_order
from kubrick_node.runtime import ContainerRuntime, ContainerState, PodState, RuntimeFailure
from kubrick_node.surroundings import Surroundings

Object = dict[str, Any]

LEAST_GRACE = 2.0
"""What a container has to end after its preStop hook has used the whole grace."""
RETRY_SECONDS = 1.0


class Stopping:
    """One pod's. `say` takes (container name, type, reason, message) of events."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        around: Surroundings | None,
        say: Callable[[str, str, str, str], None],
    ) -> None:
        self._runtime = runtime
        self._around = around
        self._say = say
        self._hooked: set[str] = set()

    async def all(self, pod: Object, state: PodState, grace: float) -> None:
        """Everything that runs. May be cancelled and called again with less grace: hooks run once."""
        batches = list(stop_order(pod, state))
        if self._around is None:
            for batch in batches:
                await self._batch(pod, batch, grace)
            return
        turns = [trio.Event() for _ in batches]
        async with trio.open_nursery() as nursery:
            for index, batch in enumerate(batches):
                nursery.start_soon(self._in_turn, pod, batch, grace, turns, index)

    async def one(
        self, pod: Object, container: Object, container_id: str, grace: float, turn: trio.Event | None = None
    ) -> None:
        """preStop, then (when it is its turn) the signal; both within `grace`."""
        began = trio.current_time()
        await self._pre_stop(pod, container, container_id, grace)
        if turn is not None:
            with trio.move_on_at(began + grace):
                await turn.wait()
        used = trio.current_time() - began
        await self._kill(pod, container["name"], container_id, max(grace - used, LEAST_GRACE) if used else grace)

    async def _kill(self, pod: Object, name: str, container_id: str, grace: float) -> None:
        """However often that takes: a runtime that is away comes back."""
        while True:
            try:
                return await self._runtime.stop_container(pod, container_id, grace)
            except RuntimeFailure as failure:
                self._say(name, "Warning", "FailedKillPod", f"error killing pod: {failure.message}")
                await trio.sleep(RETRY_SECONDS)

    async def _pre_stop(self, pod: Object, container: Object, container_id: str, grace: float) -> None:
        handler = (container.get("lifecycle") or {}).get("preStop")
        if not handler or self._around is None or container_id in self._hooked or grace <= 0:
            return
        self._hooked.add(container_id)
        try:
            ips = (await self._runtime.observe(pod)).ips
            target = self._around.actions.target(pod, container, container_id, ips)
            with trio.move_on_after(grace):
                await self._around.actions.hook(target, handler, grace)
        except (HookFailure, RuntimeFailure):
            self._say(container["name"], "Warning", "FailedPreStopHook", "PreStopHook failed")

    async def _in_turn(
        self, pod: Object, batch: list[ContainerState], grace: float, turns: list[trio.Event], index: int
    ) -> None:
        turn = turns[index - 1] if index else None
        by_name = {one["name"]: one for one in _all_containers(pod)}
        async with trio.open_nursery() as nursery:
            for there in batch:
                container = by_name.get(there.name, {"name": there.name})
                nursery.start_soon(self.one, pod, container, there.id, grace, turn)
        turns[index].set()

    async def _batch(self, pod: Object, batch: list[ContainerState], grace: float) -> None:
        if len(batch) == 1:
            await self._kill(pod, batch[0].name, batch[0].id, grace)
            return
        async with trio.open_nursery() as nursery:
            for there in batch:
                nursery.start_soon(self._kill, pod, there.name, there.id, grace)


def _all_containers(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [one for listed in ("initContainers", "containers", "ephemeralContainers") for one in spec.get(listed) or ()]


def grace_of(pod: Object) -> float:
    """Seconds the pod's containers have to end."""
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    if grace is None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    return float(grace)
