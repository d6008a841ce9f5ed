"""Gives running containers the resources that were allocated to them since they were started: by the runtime, or by
a restart where the container asks for one. Thin; resizing.py says what differs.

While something grows the pod's cgroup is made wider first, while something shrinks it is made narrower last.
"""

from collections.abc import Callable
from typing import Any

from kubrick_node.plan import StartContainer
from kubrick_node.qos import CgroupLimits, pod_cgroup_limits
from kubrick_node.resizing import ERROR, Resize, changed, resizable, restart_needed, summary, widest, with_allocation
from kubrick_node.runtime import ContainerRuntime, ContainerState, PodState, RuntimeFailure
from kubrick_node.stopping import Stopping, grace_of
from kubrick_node.surroundings import Surroundings

Object = dict[str, Any]


class Actuating:
    """One pod's. `event` takes (pod, type, reason, message, container name)."""

    def __init__(
        self,
        resize: Resize,
        runtime: ContainerRuntime,
        around: Surroundings | None,
        event: Callable[..., None],
        stopping: Stopping,
    ) -> None:
        self.resize = resize
        self._runtime = runtime
        self._around = around
        self._event = event
        self._stopping = stopping

    def started(self, action: StartContainer) -> None:
        """A container has been started with what it was then allocated."""
        self.resize.actuated[action.container["name"]] = action.container.get("resources") or {}

    async def settle(self, pod: Object, state: PodState) -> bool:
        """Bring running containers in line; False when something was stopped, and has to be started again."""
        resize = self.resize
        outdated = list(self._outdated(pod, state))
        if not outdated:
            self._complete(pod)
            return True
        before = pod_cgroup_limits(with_allocation(pod, resize.actuated))
        after = pod_cgroup_limits(pod)
        restarted = False
        try:
            self._limit(pod, widest(before, after))
            for container, there, names in outdated:
                if restart_needed(container, names):
                    message = f"Container {container['name']} resize requires restart"
                    self._event(pod, "Normal", "Killing", message, container["name"])
                    await self._stopping.one(pod, container, there.id, grace_of(pod))
                    restarted = True
                else:
                    await self._runtime.update_container(pod, there.id, container)
                resize.actuated[container["name"]] = container.get("resources") or {}
            self._limit(pod, after)
        except (RuntimeFailure, OSError) as failure:
            self._fail(pod, failure.message if isinstance(failure, RuntimeFailure) else str(failure))
            return True
        if not restarted:
            self._complete(pod)
        return not restarted

    def _outdated(self, pod: Object, state: PodState) -> list[tuple[Object, ContainerState, tuple[str, ...]]]:
        """Running containers that have not what they were allocated, with what of it differs."""
        found = []
        for container in resizable(pod):
            there = state.container(container["name"])
            if there is None or there.state != "running":
                continue
            names = changed(container.get("resources") or {}, self.resize.actuated.get(container["name"]))
            if names:
                found.append((container, there, names))
        return found

    def _limit(self, pod: Object, limits: CgroupLimits) -> None:
        if self._around is not None:
            self._around.limit_cgroup(pod, limits)

    def _fail(self, pod: Object, error: str) -> None:
        resize = self.resize
        generation = resize.in_progress[2] if resize.in_progress else pod["metadata"].get("generation", 0)
        wanted = (ERROR, error, generation)
        if resize.in_progress != wanted:
            resize.in_progress = wanted
            text = f"Pod resize error: {summary(pod, generation, error)}"
            self._event(pod, "Warning", "ResizeError", text)

    def _complete(self, pod: Object) -> None:
        resize = self.resize
        if resize.in_progress is None:
            return
        generation = resize.in_progress[2]
        resize.in_progress = None
        self._event(pod, "Normal", "ResizeCompleted", f"Pod resize completed: {summary(pod, generation)}")
