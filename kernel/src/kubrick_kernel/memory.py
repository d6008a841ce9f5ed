"""A store in memory: the reference for every engine, and everybody's fake.

The table is the newest state, the window the whole history since the last compaction; reads of the
past take events back. A commit is judged and applied in one go, without a checkpoint in between.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path

import trio

from kubrick_kernel.clock import Clock, TrioClock
from kubrick_kernel.expiry import Expiry
from kubrick_kernel.feed import Cursor, Feed, Lagged
from kubrick_kernel.store import Committed, Compacted, Event, FutureRevision, Item, Op, Range, Watch
from kubrick_kernel.transaction import check, evaluate
from kubrick_kernel.window import Table, undo

FORMAT = "kubrick memory snapshot 1"


class MemoryStore:
    """A `Store` that forgets everything with its process. `file` is a snapshot to begin with."""

    name = "store"
    requires: tuple[str, ...] = ()

    def __init__(self, clock: Clock | None = None, *, file: Path | None = None) -> None:
        self._revision = 0
        self._table = Table()
        self._expiry = Expiry(clock or TrioClock())
        if file is not None:
            self._load(file)
        self._feed = Feed(self, self._revision)

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def compacted(self) -> int:
        return self._feed.window.start

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await self._expiry.run(self)

    async def get(self, key: bytes, revision: int | None = None) -> Item | None:
        await trio.lowlevel.checkpoint()
        before = self._before(key, revision)
        return before[key] if key in before else self._table.get(key)

    async def range(self, prefix: bytes, start: bytes = b"", limit: int = 0, revision: int | None = None) -> Range:
        await trio.lowlevel.checkpoint()
        items, remaining = self._table.range(prefix, start, limit, self._before(prefix, revision))
        return Range(items, remaining > 0, remaining, self._revision if revision is None else revision)

    async def commit(self, ops: Sequence[Op]) -> Committed:
        check(ops)
        await trio.lowlevel.checkpoint()
        committed = evaluate(ops, self._table.get, self._revision + 1)
        if committed.events:
            self._revision = committed.revision
            for event in committed.events:
                self._table.apply(event)
            self._expiry.note(committed, self._expiry.deadlines(ops))
            self._feed.publish(committed.events)
        return committed

    async def watch(self, prefix: bytes, after: int) -> Watch:
        await trio.lowlevel.checkpoint()
        self._readable(after)
        return MemoryWatch(self._feed, prefix, after)

    async def compact(self, revision: int) -> None:
        await trio.lowlevel.checkpoint()
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        self._feed.window.compact(revision)

    async def snapshot(self, file: Path) -> int:
        revision = self._revision
        items = [
            [b64encode(item.key).decode(), b64encode(item.value).decode(), item.revision, item.created, deadline]
            for item in self._table.items.values()
            for deadline in [self._expiry.deadline(item)]
        ]
        text = json.dumps({"format": FORMAT, "revision": revision, "items": items})
        async with await trio.open_file(file, "x") as stream:
            await stream.write(text)
        return revision

    def _load(self, file: Path) -> None:
        saved = json.loads(file.read_text())
        if saved["format"] != FORMAT:
            raise ValueError(f"{file} is not a snapshot of the memory store")
        self._revision = saved["revision"]
        for key, value, revision, created, deadline in saved["items"]:
            item = Item(b64decode(key), b64decode(value), revision, created)
            self._table.apply(Event(item.key, revision, item, None))
            if deadline is not None:
                self._expiry.add(item, deadline)

    def _readable(self, revision: int) -> None:
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)

    def _before(self, prefix: bytes, revision: int | None) -> dict[bytes, Item | None]:
        if revision is None:
            return {}
        self._readable(revision)
        return undo(self._feed.window.after(revision), prefix)


class MemoryWatch(Cursor):
    """A watch of a `MemoryStore`."""

    __slots__ = ()

    def receive_nowait(self) -> list[Event]:
        try:
            return super().receive_nowait()
        except Lagged:
            raise Compacted(self.revision, self._feed.window.start) from None
