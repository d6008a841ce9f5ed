"""Runs the probes of one pod's running containers. Thin: probes.py says what answers mean.

A container with probes has one task; one without costs nothing. Nothing runs between two looks.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import trio

from kubrick_kernel.clock import Clock
from kubrick_node.actions import Actions, Target
from kubrick_node.plan import Unhealthy, is_sidecar
from kubrick_node.probes import Probe, Verdict, event, probes_of
from kubrick_node.runtime import ContainerState, PodState

Object = dict[str, Any]


class Checks:
    """The probes of one pod. `changed` is called when a result has changed, `say` with (container name, type,
    reason, message) of events."""

    def __init__(
        self,
        actions: Actions,
        clock: Clock,
        nursery: trio.Nursery,
        changed: Callable[[], None],
        say: Callable[[str, str, str, str], None],
    ) -> None:
        self._actions = actions
        self._clock = clock
        self._nursery = nursery
        self._changed = changed
        self._say = say
        self._running: dict[str, tuple[str, trio.CancelScope]] = {}
        self.ready: dict[str, bool] = {}
        self.started: dict[str, bool] = {}
        self.unhealthy: dict[str, Unhealthy] = {}

    def follow(self, pod: Object, state: PodState) -> None:
        """Probe what runs, and nothing else."""
        spec = pod["spec"]
        probed = [*spec["containers"], *(c for c in spec.get("initContainers") or () if is_sidecar(c))]
        for container in probed:
            probes = probes_of(container)
            if not probes:
                continue
            there = state.container(container["name"])
            running = there is not None and there.state == "running"
            self._turn(pod, container, probes, there if running else None, state.ips)

    def _turn(
        self, pod: Object, container: Object, probes: list[Probe], there: ContainerState | None, ips: Sequence[str]
    ) -> None:
        name = container["name"]
        known = self._running.get(name)
        if known is not None and (there is None or known[0] != there.id):
            known[1].cancel()
            del self._running[name]
            known = None
        if known is not None:
            return
        by_kind = {probe.kind: Verdict.initial(probe) for probe in probes}
        adopted = _status_of(pod, name, there.id) if there is not None else None
        if "startup" in by_kind:
            self.started[name] = bool(adopted and adopted.get("started"))
        if "readiness" in by_kind:
            self.ready[name] = by_kind["readiness"].result = bool(adopted and adopted.get("ready"))
        if there is None:
            return
        self.unhealthy.pop(name, None)
        if self.started.get(name):
            by_kind.pop("startup", None)
        scope = trio.CancelScope()
        self._running[name] = (there.id, scope)
        target = self._actions.target(pod, container, there.id, ips)
        self._nursery.start_soon(partial(self._check, target, [*by_kind.values()], self._age(there), scope))

    def _age(self, there: ContainerState) -> float:
        """When it was started, in trio time."""
        now = trio.current_time()
        if there.started_at is None:
            return now
        return now - max(0.0, self._clock.timestamp() - there.started_at.timestamp())

    async def _check(self, target: Target, verdicts: list[Verdict], started: float, scope: trio.CancelScope) -> None:
        with scope:
            for verdict in verdicts:
                if verdict.probe.kind == "startup":
                    await self._follow_one(target, verdict, started)
                    if not verdict.result:
                        return
            async with trio.open_nursery() as nursery:
                for verdict in verdicts:
                    if verdict.probe.kind != "startup":
                        nursery.start_soon(self._follow_one, target, verdict, started)

    async def _follow_one(self, target: Target, verdict: Verdict, started: float) -> None:
        probe = verdict.probe
        await trio.sleep_until(started + probe.delay)
        while not verdict.resting:
            at = trio.current_time()
            answer = await self._actions.look(target, probe)
            said = event(probe.kind, answer)
            if said is not None:
                self._say(probe.container, *said)
            if verdict.hear(answer):
                self._publish(target, verdict)
            if not verdict.resting:
                await trio.sleep_until(at + probe.period)

    def _publish(self, target: Target, verdict: Verdict) -> None:
        probe, result = verdict.probe, bool(verdict.result)
        if probe.kind == "readiness":
            self.ready[probe.container] = result
        elif probe.kind == "startup":
            self.started[probe.container] = result
        if probe.kind != "readiness" and not result:
            self.unhealthy[probe.container] = Unhealthy(target.id, probe.kind, probe.grace)
        self._changed()

    def stop(self) -> None:
        """No more looks; the results stay."""
        for _, scope in self._running.values():
            scope.cancel()
        self._running.clear()


def _status_of(pod: Object, name: str, container_id: str) -> Object | None:
    """What the API already says of this very container: an agent that was restarted goes on from there."""
    status = pod.get("status", {})
    for listed in ("containerStatuses", "initContainerStatuses"):
        for one in status.get(listed) or ():
            if one.get("name") == name and one.get("containerID") == container_id:
                found: Object = one
                return found
    return None
