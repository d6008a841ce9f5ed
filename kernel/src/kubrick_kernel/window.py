"""The pure part of storage and bus: a sorted table of items, and a window of recent events.

A `Table` is the newest state. A `Window` is what happened most recently, in commit order; readers
keep a position in it, so that a reader costs nothing while it is behind and no event is copied for
it. A state of the past is the table with the window's events taken back (`undo`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from kubrick_kernel.store import Event, Item

RESORT = 512
"""From so many keys come or gone since the last ordered read, sorting anew beats inserting each."""

_revision = attrgetter("revision")


def prefix_end(prefix: bytes) -> bytes | None:
    """The smallest key after every key that begins with `prefix`; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


def undo(events: Sequence[Event], prefix: bytes = b"") -> dict[bytes, Item | None]:
    """For each key of `prefix` that `events` change: what stood there before the first of them."""
    before: dict[bytes, Item | None] = {}
    for event in reversed(events):
        if event.key.startswith(prefix):
            before[event.key] = event.previous
    return before


class Table:
    """Items by key. Ordered reads sort as little as they can: keys that came or went since the last
    one are remembered and put in their places only when somebody asks for order."""

    __slots__ = ("_keys", "_moved", "items")

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self.items: dict[bytes, Item] = {item.key: item for item in items}
        self._keys = sorted(self.items)
        self._moved: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.items)

    def get(self, key: bytes) -> Item | None:
        return self.items.get(key)

    def apply(self, event: Event) -> None:
        """Take over one event's change."""
        key, item = event.key, event.item
        if item is None:
            self.items.pop(key, None)
        else:
            if key in self.items:
                self.items[key] = item
                return
            self.items[key] = item
        if len(self._moved) < RESORT:
            self._moved.add(key)

    def _ordered(self) -> list[bytes]:
        keys, items, moved = self._keys, self.items, self._moved
        if len(moved) >= RESORT:
            keys = self._keys = sorted(items)
            moved.clear()
        while moved:
            key = moved.pop()
            place = bisect_left(keys, key)
            there = place < len(keys) and keys[place] == key
            if key in items:
                if not there:
                    keys.insert(place, key)
            elif there:
                del keys[place]
        return keys

    def range(
        self, prefix: bytes, start: bytes, limit: int, before: Mapping[bytes, Item | None] | None = None
    ) -> tuple[list[Item], int]:
        """Items of `prefix` from `start` on, at most `limit` (0: all), and how many more follow.

        `before` (see `undo`; of the same prefix) takes the reader to an earlier state.
        """
        keys = self._ordered()
        low = bisect_left(keys, max(prefix, start))
        end = prefix_end(prefix)
        high = len(keys) if end is None else bisect_left(keys, end, low)
        items: Mapping[bytes, Item] = self.items
        if before:
            then: dict[bytes, Item | None] = {key: items[key] for key in keys[low:high]}
            then.update((key, item) for key, item in before.items() if key >= start)
            items = {key: item for key, item in then.items() if item is not None}
            keys, low, high = sorted(items), 0, len(items)
        stop = min(high, low + limit) if limit else high
        return list(map(items.__getitem__, keys[low:stop])), max(high - stop, 0)


class Window:
    """The most recent events, in commit order, at least `capacity` of them (0: all of them).

    Every event after revision `start` is here. Positions count events from the first one ever, so
    that they stay valid while the window forgets: a position below `base` has been forgotten.
    """

    __slots__ = ("_capacity", "base", "events", "start")

    def __init__(self, start: int, capacity: int = 0) -> None:
        self.start = start
        self.base = 0
        self.events: list[Event] = []
        self._capacity = capacity

    @property
    def end(self) -> int:
        """The position after the newest event."""
        return self.base + len(self.events)

    def extend(self, events: Sequence[Event]) -> None:
        """Add what came next. Forgets in strides, since each time moves all that is kept."""
        kept = len(self.events)
        if self._capacity and kept > self._capacity + self._capacity // 4:
            self._forget(kept - self._capacity)
        self.events += events

    def position(self, after: int) -> int:
        """Where to read on for events with a revision greater than `after` (>= `start`)."""
        return self.base + bisect_right(self.events, after, key=_revision)

    def since(self, position: int) -> list[Event]:
        """All events from `position` (>= `base`) on."""
        return self.events[position - self.base :]

    def after(self, revision: int) -> list[Event]:
        """All events with a revision greater than `revision` (>= `start`)."""
        return self.events[bisect_right(self.events, revision, key=_revision) :]

    def compact(self, revision: int) -> None:
        """Forget everything up to and including `revision`."""
        count = bisect_right(self.events, revision, key=_revision)
        if count:
            self._forget(count)
        self.start = max(self.start, revision)

    def restart(self, revision: int) -> None:
        """Forget everything, and leave every position handed out so far behind."""
        self.base = self.end + 1
        self.events = []
        self.start = revision

    def _forget(self, count: int) -> None:
        self.start = self.events[count - 1].revision
        del self.events[:count]
        self.base += count
