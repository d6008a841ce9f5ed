"""Has images pulled: one after another or several at a time, so that a pod with its image present never waits
for another's pull. Thin; the runtime pulls, plan.py says when to try again."""

from collections.abc import Callable, Sequence
from typing import Any

import trio

from kubrick_node.duration import go_duration
from kubrick_node.runtime import ContainerRuntime

Object = dict[str, Any]


def pull_policy(container: Object) -> str:
    """The container's, or what the API server would have put there."""
    policy: str | None = container.get("imagePullPolicy")
    if policy:
        return policy
    _, _, name = container.get("image", "").rpartition("/")
    tag = name.partition("@")[0].partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in name else "IfNotPresent"


class Images:
    """`at_once` pulls at a time; 0: no limit."""

    def __init__(self, runtime: ContainerRuntime, at_once: int = 1) -> None:
        self._runtime = runtime
        self._limit = trio.CapacityLimiter(at_once or float("inf"))

    async def ensure(
        self, pod: Object, container: Object, secrets: Sequence[Object], pulling: Callable[[], None]
    ) -> str:
        """Have the image; answers what the event Pulled says. `pulling` is called when a pull begins. Raises
        RuntimeFailure."""
        image = container.get("image", "")
        policy = pull_policy(container)
        there = await self._runtime.image_status(image)
        if policy != "Always" and there is not None:
            return f'Container image "{image}" already present on machine'
        if policy == "Never":
            await self._runtime.ensure_image(pod, container, secrets)
            return f'Container image "{image}" already present on machine'
        pulling()
        asked = trio.current_time()
        async with self._limit:
            began = trio.current_time()
            await self._runtime.ensure_image(pod, container, secrets)
            ended = trio.current_time()
        there = await self._runtime.image_status(image)
        took, waited = go_duration(round(ended - began, 3)), go_duration(round(ended - asked, 3))
        size = f" Image size: {there.size} bytes." if there is not None else ""
        return f'Successfully pulled image "{image}" in {took} ({waited} including waiting).{size}'
