"""Removes images that nobody needs: when their disk fills, and when the node is short of disk. Thin; garbage.py says
which."""

from collections.abc import Awaitable, Callable, Iterable

import trio

from kubrick_kernel import get_logger
from kubrick_node.eviction import Observed
from kubrick_node.garbage import Policy, Records, to_free
from kubrick_node.runtime import ContainerRuntime, Image, RuntimeFailure

log = get_logger("node")


class Collector:
    """One node's. `level` says what is left of the images' disk (None: unknown), `say` takes (type, reason,
    message) of events about the node."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        policy: Policy,
        period: float,
        level: Callable[[], Observed | None],
        say: Callable[[str, str, str], None],
    ) -> None:
        self._runtime = runtime
        self._policy = policy
        self._period = period
        self._level = level
        self._say = say
        self._records = Records(policy)
        self._failed = False

    async def run(self) -> None:
        """Looks every `period` seconds, whatever happens."""
        await self._attempt(self._look)
        while True:
            await trio.sleep(self._period)
            await self._attempt(self.collect)

    async def collect(self) -> None:
        """Remove what is outdated, and, when the disk is too full, what is unused. Raises RuntimeFailure."""
        now = await self._look()
        await self._remove(self._records.outdated(now), None)
        level = self._level()
        if level is None:
            return
        if not level.capacity:
            self._say("Warning", "InvalidDiskCapacity", "invalid capacity 0 on image filesystem")
            return
        wanted = to_free(self._policy, level.capacity, level.available)
        if wanted:
            freed = await self._remove(self._records.unused(now), wanted)
            if freed < wanted:
                text = "Failed to garbage collect required amount of images. "
                text += f"Attempted to free {wanted} bytes, but only found {freed} bytes eligible to free."
                self._say("Warning", "FreeDiskSpaceFailed", text)
                if self._failed:
                    self._say("Warning", "ImageGCFailed", text)
            self._failed = freed < wanted

    async def remove_unused(self) -> None:
        """All of them: something is short. Raises RuntimeFailure."""
        now = await self._look()
        await self._remove(self._records.unused(now), None)

    async def _look(self) -> float:
        """The time of the look."""
        in_use = await self._runtime.images_in_use()
        images = await self._runtime.list_images()
        now = trio.current_time()
        self._records.look(images, in_use, now)
        return now

    async def _remove(self, images: Iterable[Image], wanted: int | None) -> int:
        """Until `wanted` bytes are free; how many are."""
        freed = 0
        for image in images:
            if wanted is not None and freed >= wanted:
                break
            try:
                await self._runtime.remove_image(image.id)
            except RuntimeFailure as failure:
                log.warning("image not removed", image=image.id, error=failure.message)
                continue
            log.info("image removed", image=image.id, names=list(image.tags), bytes=image.size)
            freed += image.size
        return freed

    async def _attempt(self, act: Callable[[], Awaitable[object]]) -> None:
        try:
            await act()
        except RuntimeFailure as failure:
            if failure.reason != "Unsupported":
                log.warning("images not looked after", error=failure.message)
