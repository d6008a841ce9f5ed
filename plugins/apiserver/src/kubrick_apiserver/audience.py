"""Many watchers of the same thing, served as one: the bytes are made once and put on each connection in a loop.

A watcher that has seen everything, of a resource nobody selects from, joins the `Audience` of its prefix and
representation; one task waits for events, joins their frames into one piece and writes that to all
members, without waking any member's own task. Where many listen, events that follow closely are sent
together (`TICK`). A member whose connection doesn't take a piece at once leaves, sends the rest by itself and goes on
from where it was: nobody waits for it, and it is cut off like any slow watcher if it falls too far behind.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import trio

from kubrick_http.response import Outlet
from kubrick_http.writer import chunk
from kubrick_kernel import Compacted, Event
from kubrick_kernel.bus import Lagged, Subscription
from kubrick_kernel.log import get_logger

if TYPE_CHECKING:
    from kubrick_kernel.bus import Topic

SMALLEST = 8
"""So many must watch the same for an audience to pay."""
CROWD = 64
"""From so many members on, events are collected for a tick."""
TICK = 0.025
"""Seconds. An event is late by this and by the time one round takes; the first after a pause isn't."""
TURN = 16
"""Members served before other tasks have their turn."""

SLICE = 64
"""Events per piece, about: what a connection doesn't take of one has to be kept for it."""

log = get_logger("apiserver")
Render = Callable[[list[Event]], bytes]


class Member:
    """One watcher in an audience. `released` is set when it must go on by itself."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.released = trio.Event()
        self.served = 0
        """The revision after the last round it was part of."""


class Audience:
    """The members, and the task that serves them. `render` makes a piece of some events."""

    def __init__(self, subscription: Subscription, render: Render) -> None:
        self.members: set[Member] = set()
        self.scope = trio.CancelScope()
        self._subscription = subscription
        self._render = render
        self._serving: tuple[int, int] | None = None
        """While a round is on: the revisions before and after it."""
        self._last = 0.0

    @property
    def open(self) -> bool:
        """Whether somebody who has seen everything may join now."""
        return self._serving is None and self._subscription.at_end

    def reached(self, member: Member) -> int:
        """The revision up to which `member` has been served."""
        if member.released.is_set():
            return member.served  # there may have been rounds since
        if self._serving is None:
            return self._subscription.revision
        before, after = self._serving
        return after if member.served == after else before

    async def run(self) -> None:
        """Serve until there is no member, or the bus has moved on without us."""
        try:
            with self.scope:
                while True:
                    await self._round()
        except (Lagged, Compacted):
            pass  # each member finds the same, and tells its client
        except Exception as error:
            log.error("an audience of watchers failed", exc_info=error)
        finally:
            self._subscription.close()
            for member in self.members:
                member.served = self.reached(member)
                member.released.set()

    async def _round(self) -> None:
        subscription = self._subscription
        events = await subscription.receive()
        before = events[0].revision - 1
        self._serving = before, before
        if len(self.members) >= CROWD:
            await trio.sleep_until(self._last + TICK)
            events += subscription.receive_nowait()
            self._last = trio.current_time()
        for start, stop in slices(events):
            # The last slice is followed by nothing of this prefix up to where we have read.
            after = events[stop - 1].revision if stop < len(events) else subscription.revision
            self._serving = before, after
            await self._serve(self._render(events[start:stop]), after)
            before = after
        self._serving = None

    async def _serve(self, piece: bytes, after: int) -> None:
        framed = chunk(piece)
        for number, member in enumerate(list(self.members), 1):
            if member.released.is_set():
                continue
            member.served = after
            if not member.outlet.put(piece, framed):
                member.released.set()
            if not number % TURN:
                await trio.lowlevel.checkpoint()


def slices(events: list[Event]) -> Iterator[tuple[int, int]]:
    """Where to cut `events` into pieces that a connection can be asked to take, no commit into two."""
    start = 0
    while start < len(events):
        stop = min(start + SLICE, len(events))
        while stop < len(events) and events[stop].revision == events[stop - 1].revision:
            stop += 1
        yield start, stop
        start = stop


class Audiences:
    """All of them, by what their members watch. Nobody can join before `run`."""

    def __init__(self) -> None:
        self._audiences: dict[object, Audience] = {}
        self._interested: dict[object, int] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as self._nursery:
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def enter(self, key: object) -> None:
        """One more watches `key`."""
        self._interested[key] = self._interested.get(key, 0) + 1

    def exit(self, key: object) -> None:
        """One fewer does."""
        self._interested[key] -= 1
        if not self._interested[key]:
            del self._interested[key]

    def find(self, key: object, topic: "Topic", prefix: bytes, render: Render) -> Audience | None:
        """The audience that somebody who has seen everything may join now, if there is one."""
        audience = self._audiences.get(key)
        if audience is None:
            if self._nursery is None or self._interested.get(key, 0) < SMALLEST:
                return None
            audience = self._audiences[key] = Audience(topic.follow(prefix), render)
            self._nursery.start_soon(self._run, key, audience)
        return audience if audience.open else None

    async def _run(self, key: object, audience: Audience) -> None:
        try:
            await audience.run()
        finally:
            self._forget(key, audience)

    def leave(self, key: object, audience: Audience, member: Member) -> int:
        """Take `member` out; returns the revision up to which it has been served."""
        reached = audience.reached(member)
        member.released.set()
        audience.members.discard(member)
        if not audience.members:
            audience.scope.cancel()
            self._forget(key, audience)
        return reached

    def _forget(self, key: object, audience: Audience) -> None:
        if self._audiences.get(key) is audience:
            del self._audiences[key]
