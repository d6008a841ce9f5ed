"""Waiting for events: a window that is fed, and cursors that read it.

A `Feed` has no list of its readers, only of those that wait right now, by prefix; publishing wakes
those whose prefix is concerned and never waits for anybody. A `Cursor` is one reader's place. A
reader that is too far behind finds out when it next reads (`Lagged`).
"""

from collections.abc import Sequence
from typing import Protocol

import trio

from kubrick_kernel.store import Event, StoreError
from kubrick_kernel.window import Window


class Lagged(StoreError):
    """A reader was too slow: events it has not read were let go. It must resume or list again."""


class Source(Protocol):
    """Whoever feeds a feed."""

    @property
    def revision(self) -> int:
        """The revision up to which everything has been published."""
        ...


class Feed:
    """Recent events of `source`, which must have moved its `revision` on before it publishes."""

    __slots__ = ("_waiting", "source", "window")

    def __init__(self, source: Source, start: int, capacity: int = 0) -> None:
        self.source = source
        self.window = Window(start, capacity)
        self._waiting: dict[bytes, set[Cursor]] = {}

    def publish(self, events: Sequence[Event]) -> None:
        """Add whole commits and wake whoever waits for one of them."""
        window = self.window
        position = window.end
        window.extend(events)
        if not self._waiting:
            return
        for prefix in list(self._waiting):
            for event in events:
                if event.key.startswith(prefix):
                    for cursor in self._waiting.pop(prefix):
                        # Whoever waited has missed nothing of its prefix before this batch.
                        cursor._position, cursor._revision = position, events[0].revision - 1
                        cursor._wake()
                    break

    def restart(self, revision: int) -> None:
        """Begin again at `revision`; every reader finds itself lagged."""
        self.window.restart(revision)
        waiting, self._waiting = self._waiting, {}
        for cursors in waiting.values():
            for cursor in cursors:
                cursor._wake()

    def _enter(self, cursor: "Cursor") -> None:
        self._waiting.setdefault(cursor._prefix, set()).add(cursor)

    def _leave(self, cursor: "Cursor") -> None:
        waiting = self._waiting[cursor._prefix]
        waiting.remove(cursor)
        if not waiting:
            del self._waiting[cursor._prefix]


class Cursor:
    """One reader's place in a feed: events of `prefix` after revision `after` (>= the window's start).

    `capacity` is how many events of the feed, of any prefix, it may leave unread (0: as many as the
    window holds).
    """

    __slots__ = ("_capacity", "_closed", "_feed", "_position", "_prefix", "_revision", "_task")

    def __init__(self, feed: Feed, prefix: bytes, after: int, capacity: int = 0) -> None:
        self._feed = feed
        self._prefix = prefix
        self._position = feed.window.position(after)
        self._revision = after
        self._capacity = capacity
        self._task: trio.lowlevel.Task | None = None
        self._closed = False

    @property
    def revision(self) -> int:
        """Every event of the prefix up to this revision has been handed out."""
        if self._task is not None or self._position == self._feed.window.end:
            return self._feed.source.revision
        return self._revision

    @property
    def at_end(self) -> bool:
        """Whether there is nothing to read."""
        return self._task is not None or self._position == self._feed.window.end

    def skip(self, revision: int) -> None:
        """Go on after `revision`. Where the window no longer reaches back so far, that is lagging."""
        window = self._feed.window
        self._position = window.position(revision) if revision >= window.start else window.base - 1
        self._revision = revision

    def receive_nowait(self) -> list[Event]:
        """All unread events, possibly none. Raises Lagged, trio.ClosedResourceError."""
        if self._closed:
            raise trio.ClosedResourceError
        window = self._feed.window
        behind = window.end - self._position
        if not behind:
            return []
        if self._position < window.base or 0 < self._capacity < behind:
            raise Lagged(f"{behind} events behind")
        prefix = self._prefix
        events = [event for event in window.since(self._position) if event.key.startswith(prefix)]
        self._caught_up()
        return events

    async def receive(self) -> list[Event]:
        """Wait for at least one event; return all unread ones. Between reading the window and
        returning there is no checkpoint."""
        if self._task is not None:
            raise trio.BusyResourceError("another task is receiving")
        if self._closed or self._position != self._feed.window.end:
            await trio.lowlevel.checkpoint()
        while not (events := self.receive_nowait()):
            await self._wait()
        return events

    def close(self) -> None:
        """Stop. Whoever waits gets trio.ClosedResourceError. Idempotent."""
        self._closed = True
        if self._task is not None:
            self._feed._leave(self)
            self._wake()

    def _caught_up(self) -> None:
        self._position = self._feed.window.end
        self._revision = self._feed.source.revision

    async def _wait(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._feed._leave(self)
            self._task = None
            self._caught_up()
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        self._feed._enter(self)
        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self) -> None:
        task, self._task = self._task, None
        assert task is not None
        trio.lowlevel.reschedule(task)
