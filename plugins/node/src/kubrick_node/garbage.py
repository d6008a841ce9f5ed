"""Which images nobody needs any more. Pure.

Source: the kubelet's image garbage collection: of images that no container uses and that are old enough, those go
first that have been unused for longest, until so much is free as there shall be.
"""

from collections.abc import Collection, Iterable

from attrs import define, field, frozen

from kubrick_node.runtime import Image


@frozen
class Policy:
    """Collection begins at `high` percent of the disk and goes on down to `low`. No image goes that is younger than
    `least_age`; one that has been unused for `most_age` (0: no matter) goes in any case. Seconds."""

    high: int = 85
    low: int = 80
    least_age: float = 120.0
    most_age: float = 0.0


def to_free(policy: Policy, capacity: int, available: int) -> int:
    """How many bytes have to go; 0: none."""
    if 100 - available * 100 // capacity < policy.high:
        return 0
    return max(capacity * (100 - policy.low) // 100 - available, 0)


@define
class _Record:
    image: Image
    seen: float
    used: float = float("-inf")


@define
class Records:
    """What is known of the images that are there. Times are in seconds; those that are there at the first look are
    as old as can be."""

    policy: Policy
    _known: dict[str, _Record] = field(factory=dict)
    _began: float | None = None

    def look(self, images: Iterable[Image], in_use: Collection[str], now: float) -> None:
        """`in_use` are ids or names of images that containers have."""
        before, self._known = self._known, {}
        for image in images:
            record = before.get(image.id) or _Record(image, float("-inf") if self._began is None else now)
            record.image = image
            if image.pinned or not {image.id, *image.tags, *image.digests}.isdisjoint(in_use):
                record.used = now
            self._known[image.id] = record
        if self._began is None:
            self._began = now

    def unused(self, now: float) -> list[Image]:
        """Those that may go, in the order to go. To be asked at the time of the last look."""
        free = [one for one in self._known.values() if one.used < now and now - one.seen >= self.policy.least_age]
        return [one.image for one in sorted(free, key=lambda one: (one.used, one.seen))]

    def outdated(self, now: float) -> list[Image]:
        """Those that have been unused for too long, once there has been time to see them used."""
        most = self.policy.most_age
        if not most or self._began is None or now - self._began <= most:
            return []
        return [one.image for one in self._known.values() if one.used < now and now - max(one.used, one.seen) > most]
