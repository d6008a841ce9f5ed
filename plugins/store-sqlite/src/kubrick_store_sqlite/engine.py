"""The store that a kernel runs: the published state in memory, the process that writes, reads of the past.

Current items are kept in memory (the same objects that the bus holds), so that a commit finds what
it replaces and a read of the present never touches the disk. Recent events are a window; what is
older comes from the log, page by page, in a thread.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import trio

from kubrick_kernel.clock import Clock
from kubrick_kernel.datadir import held
from kubrick_kernel.expiry import Expiry
from kubrick_kernel.feed import Cursor, Feed, Lagged
from kubrick_kernel.log import get_logger
from kubrick_kernel.store import (
    Committed,
    Compacted,
    Event,
    FutureRevision,
    Item,
    Op,
    Range,
    StoreError,
    Watch,
)
from kubrick_kernel.transaction import check
from kubrick_kernel.window import Table, prefix_end, undo
from kubrick_store_sqlite.child import Child
from kubrick_store_sqlite.disk import CHANGES, Disk
from kubrick_store_sqlite.writer import Transaction, Writer

T = TypeVar("T")
log = get_logger("store-sqlite")
FILE = "store.db"
WINDOW = 1024
"""Events kept in memory for watches that are about to catch up."""
WAL_PAGES = 8000
"""Length of the write-ahead log (pages of 4 KiB) that starts a checkpoint."""
CHECKPOINT_RETRY = 5.0
REST = 500
"""Pages that the process that writes may be asked to copy, to bring a checkpoint to its end."""


class SqliteStore:
    """A `Store` in the file ``store.db`` of `directory`, which it keeps for itself.

    `window` is how many recent events stay in memory.
    """

    name = "store"
    requires: tuple[str, ...] = ()

    def __init__(self, directory: Path, clock: Clock, *, synchronous: str = "full", window: int = WINDOW) -> None:
        self._directory = directory
        self._clock = clock
        self._synchronous = synchronous
        self._revision = 0
        self._compacted = 0
        self._table = Table()
        self._expiry = Expiry(clock)
        self._feed = Feed(self, 0, window)
        self._disk: Disk | None = None
        self._writer: Writer | None = None
        self._reading = trio.Lock()
        self._wal_is_long = trio.Event()

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def compacted(self) -> int:
        return self._compacted

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with held(self._directory):
            async with self._opened() as (disk, child):
                await self._load(disk)
                disk.wal_pages = await child.opened()
                written = partial(self._read, Disk.newest)
                writer = Writer(disk, child, self._table.items, lambda: self._revision, self._publish, written)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(writer.run)
                    self._writer = writer
                    try:
                        async with trio.open_nursery() as inner:
                            inner.start_soon(self._keep_wal_short, disk, writer)
                            task_status.started()
                            await self._expiry.run(self)
                    finally:
                        self._writer = None
                        with trio.CancelScope(shield=True):
                            await writer.stop()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Disk, Child]]:
        """The file, and the process that alone writes to it, which begins while the file is opened."""
        file = self._directory / FILE
        child = Child(file, self._synchronous)
        disk: Disk | None = None
        try:
            await child.start()
            disk = await trio.to_thread.run_sync(Disk, file, self._synchronous)
            await child.locked()
            yield disk, child
        finally:
            with trio.CancelScope(shield=True):
                await child.end()
                if disk is not None:
                    async with self._reading:
                        self._disk = None
                        await trio.to_thread.run_sync(disk.close)

    async def _load(self, disk: Disk) -> None:
        loaded = await trio.to_thread.run_sync(disk.load)
        self._disk = disk
        self._revision, self._compacted = loaded.revision, loaded.compacted
        self._table = Table(loaded.items)
        self._expiry = Expiry(self._clock)
        for item, deadline in loaded.deadlines:
            self._expiry.add(item, deadline)
        self._feed.restart(loaded.revision)

    async def get(self, key: bytes, revision: int | None = None) -> Item | None:
        before = await self._before(key, key + b"\x00", revision)
        return before[key] if key in before else self._table.get(key)

    async def range(self, prefix: bytes, start: bytes = b"", limit: int = 0, revision: int | None = None) -> Range:
        before = await self._before(prefix, prefix_end(prefix), revision)
        items, remaining = self._table.range(prefix, start, limit, before)
        return Range(items, remaining > 0, remaining, self._revision if revision is None else revision)

    async def commit(self, ops: Sequence[Op]) -> Committed:
        check(ops)
        if len(ops) > CHANGES:
            raise ValueError(f"a transaction may have {CHANGES} operations at most, not {len(ops)}")
        return await self._at_work().commit(Transaction(ops, self._expiry.deadlines(ops)))

    async def watch(self, prefix: bytes, after: int) -> Watch:
        await trio.lowlevel.checkpoint()
        self._at_work()
        self._readable(after)
        return SqliteWatch(self, prefix, after)

    async def compact(self, revision: int) -> None:
        await trio.lowlevel.checkpoint()
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        if revision > self._compacted:
            # Before the sweep begins, so that no read takes what is left for everything.
            self._compacted = revision
            await self._at_work().draw_line(revision)

    async def snapshot(self, file: Path) -> int:
        if self._disk is None:
            raise StoreError("the store is closed")
        try:
            return await trio.to_thread.run_sync(self._disk.snapshot, file)
        except apsw.Error as error:
            raise StoreError(f"snapshot {file}: {error}") from error

    def size(self) -> int:
        """Bytes on disk, write-ahead log included."""
        if self._disk is None:
            return 0
        file = self._disk.file
        return sum(part.stat().st_size for part in (file, file.with_name(f"{file.name}-wal")) if part.exists())

    def _at_work(self) -> Writer:
        if self._writer is None:
            raise StoreError("the store is closed")
        return self._writer

    def _publish(self, group: list[Transaction], revision: int) -> None:
        """Called for each group, in commit order, before those who asked for it are told."""
        events: list[Event] = []
        apply = self._table.apply
        for transaction in group:
            committed = transaction.committed
            if committed is not None:
                for event in committed.events:
                    apply(event)
                events += committed.events
                self._expiry.note(committed, transaction.deadlines)
        self._revision = revision
        if events:
            self._feed.publish(events)
        if self._disk is not None and self._disk.wal_pages > WAL_PAGES:
            self._wal_is_long.set()

    async def _keep_wal_short(self, disk: Disk, writer: Writer) -> None:
        """Checkpoint beside the process that writes; only the last few pages are left to that one, since
        the log begins anew only when all of it has been copied."""
        while True:
            await self._wal_is_long.wait()
            try:
                for _ in range(10):
                    if await trio.to_thread.run_sync(disk.checkpoint) <= REST:
                        break
                await writer.finish_checkpoint()
            except (apsw.Error, StoreError) as error:  # nothing is lost: what was committed stays in the log
                log.warning("the log grows: it can't be copied to the file", file=str(disk.file), error=str(error))
                await trio.sleep(CHECKPOINT_RETRY)
            self._wal_is_long = trio.Event()

    def _readable(self, revision: int) -> None:
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        if revision < self._compacted:
            raise Compacted(revision, self._compacted)

    async def _before(self, low: bytes, high: bytes | None, revision: int | None) -> dict[bytes, Item | None]:
        """What to take back from the table to have keys in [low, high) as of `revision`."""
        await trio.lowlevel.checkpoint()
        if revision is None:
            return {}
        self._readable(revision)
        window = self._feed.window
        if revision >= window.start:
            return undo(window.after(revision), low)
        while True:
            until = self._revision
            before = await self._read(partial(Disk.before, low=low, high=high, after=revision, until=until))
            self._readable(revision)
            if until >= window.start:
                return undo(window.after(until), low) | before

    async def _read(self, function: Callable[[Disk], T]) -> T:
        async with self._reading:
            if self._disk is None:
                raise StoreError("the store is closed")
            try:
                return await trio.to_thread.run_sync(function, self._disk)
            except apsw.Error as error:
                raise StoreError(f"store {self._disk.file}: {error}") from error


class SqliteWatch:
    """A watch: pages of the log until it reaches the window, then a place in the window; and back to
    the log when its reader is so slow that the window moves on without it."""

    __slots__ = ("_closed", "_cursor", "_end", "_prefix", "_reached", "_scope", "_store")

    def __init__(self, store: SqliteStore, prefix: bytes, after: int) -> None:
        self._store = store
        self._prefix = prefix
        self._end = prefix_end(prefix)
        self._reached = after
        self._closed = False
        self._cursor: Cursor | None = None
        self._scope: trio.CancelScope | None = None
        self._meet()

    @property
    def revision(self) -> int:
        return self._cursor.revision if self._cursor is not None else self._reached

    def receive_nowait(self) -> list[Event]:
        cursor = self._meet()
        if cursor is None:
            return []
        try:
            return cursor.receive_nowait()
        except Lagged:
            return self._fall_back(cursor)

    async def receive(self) -> list[Event]:
        while True:
            cursor = self._meet()
            try:
                events = await self._page() if cursor is None else await cursor.receive()
            except Lagged:
                assert cursor is not None
                events = self._fall_back(cursor)
            if events:
                return events

    def close(self) -> None:
        self._closed = True
        if self._cursor is not None:
            self._cursor.close()
        if self._scope is not None:
            self._scope.cancel()

    def _fall_back(self, cursor: Cursor) -> list[Event]:
        self._reached = cursor.revision
        self._cursor = None
        return []

    def _meet(self) -> Cursor | None:
        if self._closed:
            raise trio.ClosedResourceError
        feed = self._store._feed
        if self._cursor is None and self._reached >= feed.window.start:
            self._cursor = Cursor(feed, self._prefix, self._reached)
        return self._cursor

    async def _page(self) -> list[Event]:
        store = self._store
        if self._reached < store.compacted:
            await trio.lowlevel.checkpoint()
            raise Compacted(self._reached, store.compacted)
        until = store.revision
        events, reached = await store._read(lambda disk: disk.history(self._prefix, self._end, self._reached, until))
        if self._closed:
            raise trio.ClosedResourceError
        if self._reached < store.compacted:
            raise Compacted(self._reached, store.compacted)
        for event in events:
            now = store._table.get(event.key)
            if now is not None and now.revision == event.revision:
                event.item = now  # whatever has been decoded of it already
        self._reached = reached
        return events
