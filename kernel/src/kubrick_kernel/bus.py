"""The watch bus: the current state in memory, and every change handed to whoever subscribed.

One watch of the whole store feeds it. Keys are grouped in topics, up to and including their first
slash (a key without one is no concern of the bus); each topic has its items in order and a window
of its recent events. The same `Event` goes to every subscriber, so that its memo is computed once.
A subscriber reads the window at its own pace: one that is too slow is dropped (`Lagged`), never
waited for; one that resumes from before the window is fed from the store's history until it meets
the window.
"""

from collections.abc import Sequence

import trio

from kubrick_kernel.feed import Cursor, Feed, Lagged
from kubrick_kernel.store import Committed, Compacted, Event, FutureRevision, Item, Op, Range, Store, Watch
from kubrick_kernel.window import Table

__all__ = ["Bus", "Compactor", "Lagged", "Subscription", "Topic"]

WINDOW = 4096


class Bus:
    """State and changes of `store`. `window` is how many events each topic remembers."""

    name = "bus"
    requires: tuple[str, ...] = ("store",)

    def __init__(self, store: Store, *, window: int = WINDOW) -> None:
        self.store = store
        self.revision = 0
        """The revision up to which state and subscribers have seen everything."""
        self._window = window
        self._loaded = 0
        self._topics: dict[bytes, Topic] = {}
        self._watch: Watch | None = None
        self._committers = trio.lowlevel.ParkingLot()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Load everything, say started, and follow the store. When it is run again (it crashed, or
        fell behind the store) it loads again, and whoever subscribed is told `Lagged`."""
        state = await self.store.range(b"")
        self._watch = watch = await self.store.watch(b"", state.revision)
        try:
            self._load(state)
            task_status.started()
            while True:
                self._spread(await watch.receive())
        finally:
            self._watch = None
            watch.close()

    def topic(self, prefix: bytes) -> "Topic":
        """The topic of keys that begin with `prefix`, which ends in its only slash. Made on demand."""
        topic = self._topics.get(prefix)
        if topic is None:
            if not prefix or prefix.find(b"/") != len(prefix) - 1:
                raise ValueError(f"a topic ends in its only slash: {prefix!r}")
            topic = self._topics[prefix] = Topic(self, prefix, Feed(self, self._loaded, self._window))
        return topic

    async def commit(self, ops: Sequence[Op]) -> Committed:
        """`Store.commit`; when it returns, state and subscribers have seen the commit."""
        committed = await self.store.commit(ops)
        self.pump()
        while self.revision < committed.revision and self._watch is not None:
            # An engine elsewhere may acknowledge before its watch has told us.
            await self._committers.park()
        return committed

    def pump(self) -> None:
        """Take over whatever the store has published by now."""
        if self._watch is None:
            return
        try:
            events = self._watch.receive_nowait()
        except Compacted:
            return  # no fault of whoever asks: `run` finds the same and loads again
        if events:
            self._spread(events)

    def _load(self, state: Range) -> None:
        self.revision = self._loaded = state.revision
        items: dict[bytes, list[Item]] = {prefix: [] for prefix in self._topics}
        for item in state.items:
            items.setdefault(_topic(item.key), []).append(item)
        items.pop(b"", None)
        for prefix, batch in items.items():
            self.topic(prefix)._restart(batch, state.revision)
        self._committers.unpark_all()

    def _spread(self, events: list[Event]) -> None:
        assert self._watch is not None
        self.revision = self._watch.revision
        batches: dict[bytes, list[Event]] = {}
        for event in events:
            prefix = _topic(event.key)
            batch = batches.get(prefix)
            if batch is None:
                batches[prefix] = [event]
            else:
                batch.append(event)
        batches.pop(b"", None)
        for prefix, batch in batches.items():
            self.topic(prefix)._take(batch)
        if self._committers:
            self._committers.unpark_all()


class Topic:
    """The keys of one prefix. Prefixes and starts given to its methods are of whole keys."""

    __slots__ = ("_bus", "_feed", "_table", "events", "get", "prefix")

    def __init__(self, bus: Bus, prefix: bytes, feed: Feed) -> None:
        self.prefix = prefix
        self.events = 0
        """How many changes it has seen."""
        self._bus = bus
        self._feed = feed
        self._restart([], feed.window.start)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def revision(self) -> int:
        """The bus's revision."""
        return self._bus.revision

    @property
    def changed(self) -> int:
        """A revision since which no key of this topic has changed."""
        window = self._feed.window
        return window.events[-1].revision if window.events else window.start

    def range(self, prefix: bytes = b"", start: bytes = b"", limit: int = 0) -> Range:
        """The items whose key begins with `prefix`, in key order, from `start` (inclusive) on."""
        items, remaining = self._table.range(prefix, start, limit)
        return Range(items, remaining > 0, remaining, self._bus.revision)

    async def subscribe(self, after: int, prefix: bytes = b"", capacity: int = 0) -> "Subscription":
        """Changes of `prefix` with a revision greater than `after`.

        `capacity` is how many events of the topic it may leave unread before it is dropped (0: as
        many as the window holds). Raises FutureRevision, and Compacted when neither the window nor
        the store goes back so far.
        """
        if after > self._bus.revision:
            raise FutureRevision(after, self._bus.revision)
        await trio.lowlevel.checkpoint()
        history = None
        if after < self._feed.window.start:
            history = await self._bus.store.watch(prefix or self.prefix, after)
        return Subscription(self._bus, self._feed, prefix, after, capacity, history)

    def follow(self, prefix: bytes = b"") -> "Subscription":
        """`subscribe` to what comes from now on, which nothing has to be waited for."""
        return Subscription(self._bus, self._feed, prefix, self._bus.revision, 0, None)

    def _restart(self, items: list[Item], revision: int) -> None:
        self._table = Table(items)
        self.get = self._table.items.get
        self._feed.restart(revision)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            self._table.apply(event)
        self.events += len(events)
        self._feed.publish(events)


class Subscription:
    """One reader of a topic. Made by `Topic.subscribe`; one task at a time may receive."""

    __slots__ = ("_arguments", "_bus", "_cursor", "_feed", "_history")

    def __init__(self, bus: Bus, feed: Feed, prefix: bytes, after: int, capacity: int, history: Watch | None) -> None:
        self._bus = bus
        self._feed = feed
        self._arguments = prefix, capacity
        self._history = history
        self._cursor = None if history else Cursor(feed, prefix, after, capacity)

    @property
    def revision(self) -> int:
        """A bookmark: every change of the prefix up to this revision has been handed out."""
        cursor = self._meet()
        if cursor is not None:
            return cursor.revision
        assert self._history is not None
        return self._history.revision

    @property
    def at_end(self) -> bool:
        """Whether everything there is has been handed out, and no history is being read."""
        cursor = self._meet()
        return cursor is not None and cursor.at_end

    def skip(self, revision: int) -> None:
        """Go on after `revision`: what came before it was had elsewhere. Only where `at_end` was true."""
        cursor = self._meet()
        assert cursor is not None
        cursor.skip(revision)

    def receive_nowait(self) -> list[Event]:
        """All changes available now, possibly none. Raises Lagged, Compacted."""
        cursor = self._meet()
        if cursor is not None:
            return cursor.receive_nowait()
        assert self._history is not None
        return self._history.receive_nowait()

    async def receive(self) -> list[Event]:
        """Wait for at least one change; return all there are. Raises Lagged, Compacted."""
        cursor = self._meet()
        if cursor is not None:
            return await cursor.receive()
        assert self._history is not None
        events = await self._history.receive()
        self._bus.pump()  # nobody reads of a change that the topic does not show yet
        return events

    def close(self) -> None:
        """Stop. Whoever waits gets trio.ClosedResourceError. Idempotent."""
        if self._history is not None:
            self._history.close()
        if self._cursor is not None:
            self._cursor.close()

    def _meet(self) -> Cursor | None:
        """The place in the window, as soon as the history read so far reaches it."""
        if self._history is not None:
            self._bus.pump()
            reached = self._history.revision
            if self._feed.window.start <= reached <= self._bus.revision:
                prefix, capacity = self._arguments
                self._cursor = Cursor(self._feed, prefix, reached, capacity)
                self._history.close()
                self._history = None
        return self._cursor


class Compactor:
    """Every `interval` seconds, forgets the history older than that, as kube-apiserver does to etcd."""

    name = "compactor"
    requires: tuple[str, ...] = ("bus",)

    def __init__(self, bus: Bus, interval: float = 300.0) -> None:
        self._bus = bus
        self._interval = interval

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            revision = self._bus.revision
            await trio.sleep(self._interval)
            await self._bus.store.compact(revision)


def _topic(key: bytes) -> bytes:
    return key[: key.find(b"/") + 1]
