"""Keys that do not live for ever: a heap of deadlines, and the task that deletes what is due.

Deadlines are points of the clock, not durations, so that an engine can write them down and go on
with them after a restart. A deadline belongs to one revision of its key: whatever replaces that
value, with or without a ttl, makes it void.
"""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

import trio

from kubrick_kernel.clock import Clock
from kubrick_kernel.store import Committed, Conflict, Delete, Item, Op, Put, Store

BATCH = 100
"""So many keys at most are deleted by one commit."""


class Expiry:
    """The deadlines of one store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, bytes, int]] = []
        self._deadlines: dict[bytes, tuple[float, int]] = {}
        self._sooner = trio.Event()

    def add(self, item: Item, deadline: float) -> None:
        """`item` is to be deleted at `deadline` (seconds since the epoch)."""
        if not self._heap or deadline < self._heap[0][0]:
            self._sooner.set()
        self._deadlines[item.key] = deadline, item.revision
        heappush(self._heap, (deadline, item.key, item.revision))

    def deadlines(self, ops: Sequence[Op]) -> dict[bytes, float]:
        """When the keys that `ops` give a lifetime are to be deleted, if they are committed now."""
        found: dict[bytes, float] = {}
        for op in ops:
            if type(op) is Put and op.ttl is not None:
                found[op.key] = self._clock.timestamp() + op.ttl
        return found

    def note(self, committed: Committed, deadlines: Mapping[bytes, float]) -> None:
        """Remember the deadlines that a commit sets, and forget those that it makes void."""
        if not deadlines and not self._deadlines:
            return
        for event in committed.events:
            if event.item is not None and event.key in deadlines:
                self.add(event.item, deadlines[event.key])
            else:
                self._deadlines.pop(event.key, None)

    def deadline(self, item: Item) -> float | None:
        """When `item` is to be deleted, if ever."""
        deadline, revision = self._deadlines.get(item.key, (0.0, 0))
        return deadline if revision == item.revision else None

    async def run(self, store: Store) -> None:
        """Delete what is due, for ever."""
        while True:
            self._sooner = trio.Event()
            if self._heap:
                with trio.move_on_after(max(0.0, self._heap[0][0] - self._clock.timestamp())):
                    await self._sooner.wait()
            else:
                await self._sooner.wait()
            while due := self._due():
                await _delete(store, due)

    def _due(self) -> list[tuple[bytes, int]]:
        due: list[tuple[bytes, int]] = []
        now = self._clock.timestamp()
        while self._heap and len(due) < BATCH and self._heap[0][0] <= now:
            deadline, key, revision = heappop(self._heap)
            if self._deadlines.get(key) == (deadline, revision):
                due.append((key, revision))
        return due


async def _delete(store: Store, due: list[tuple[bytes, int]]) -> None:
    """Delete those keys of `due` that are still at that revision."""
    while due:
        try:
            await store.commit([Delete(key, revision) for key, revision in due])
            return
        except Conflict as conflict:
            due = [(key, revision) for key, revision in due if key != conflict.key]
