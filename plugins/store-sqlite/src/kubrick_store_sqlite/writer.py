"""The writer thread: everything that was asked for meanwhile becomes one group, with one disk flush.

The main thread puts transactions on a queue and sleeps; the writer judges each against the state as
of the one before it, writes all their changes by one statement, and hands the group back in one
call (`publish`, run in the trio thread), which wakes them all. The published state belongs to the
trio thread; what the writer has committed but the trio thread may not have published yet, the
writer remembers by itself. Between groups it does a bounded piece of housekeeping.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

import apsw
import trio

from kubrick_kernel.store import Committed, Item, Op, StoreError
from kubrick_kernel.transaction import evaluate
from kubrick_store_sqlite.disk import SHIFT, Disk, Parameters

GROUP = 500
"""Transactions per group at most, so that the first one's answer doesn't wait for ever."""
STEP = 0.002
"""Seconds a step of housekeeping should take."""


class Transaction:
    """One commit under way: what is asked, who waits, and the answer."""

    __slots__ = ("committed", "deadlines", "error", "ops", "task")

    def __init__(self, ops: Sequence[Op], deadlines: Mapping[bytes, float]) -> None:
        self.ops = ops
        self.deadlines = deadlines
        self.committed: Committed | None = None
        self.error: Exception | None = None
        self.task: trio.lowlevel.Task | None = None


class Order:
    """Something else for the writer thread to do between groups."""

    __slots__ = ("done", "error", "function")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.error: Exception | None = None
        self.done = trio.Event()


class Writer:
    """The thread and its queue. `items` is the published state, `published()` its revision."""

    def __init__(
        self,
        disk: Disk,
        revision: int,
        swept: tuple[int, int],
        items: Mapping[bytes, Item],
        published: Callable[[], int],
        publish: Callable[[list[Transaction], int], None],
    ) -> None:
        self._disk = disk
        self._revision = revision
        self._swept, self._line = swept
        self._items = items
        self._published = published
        self._publish = publish
        self._stride = 64
        self._ahead: deque[tuple[int, dict[bytes, Item | None]]] = deque()
        self._queue: SimpleQueue[Transaction | Order | None] = SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()
        self._open = True
        self._ended = trio.Event()
        self._thread = threading.Thread(target=self._run, name="store-sqlite", daemon=True)
        self._thread.start()

    async def commit(self, transaction: Transaction) -> Committed:
        """Have a transaction committed. Once begun it is seen to its end, cancelled or not."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        transaction.task = trio.lowlevel.current_task()
        self._queue.put(transaction)
        await trio.lowlevel.wait_task_rescheduled(_not_now)
        if transaction.error is not None:
            raise transaction.error
        assert transaction.committed is not None
        return transaction.committed

    async def order(self, function: Callable[[], object]) -> None:
        """Have a short function run in the writer thread between groups."""
        self._check_open()
        order = Order(function)
        self._queue.put(order)
        with trio.CancelScope(shield=True):
            await order.done.wait()
        if order.error is not None:
            raise order.error

    def sweep_to(self, line: int) -> None:
        """An order: forget what is only needed for revisions before `line`."""
        self._disk.draw_line(line)
        self._line = max(self._line, line)

    async def stop(self) -> None:
        """Finish what is queued and end the thread."""
        self._open = False
        self._queue.put(None)
        await self._ended.wait()
        self._thread.join()

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("the store is closed")

    def _run(self) -> None:
        running = True
        while running:
            group: list[Transaction] = []
            orders: list[Order] = []
            for work in self._collect():
                if isinstance(work, Transaction):
                    group.append(work)
                elif work is None:
                    running = False
                else:
                    orders.append(work)
            if group:
                self._commit(group)
            for order in orders:
                self._obey(order)
            if self._swept < self._line:
                self._sweep()
        self._token.run_sync_soon(self._ended.set)

    def _collect(self) -> list[Transaction | Order | None]:
        """What is queued; when nothing is and there is no housekeeping either, wait."""
        queue = self._queue
        waiting = queue.qsize()
        if not waiting:
            if self._swept < self._line:
                return []
            first = queue.get()
            return [first, *(queue.get() for _ in range(min(queue.qsize(), GROUP)))]
        return [queue.get() for _ in range(min(waiting, GROUP))]

    def _commit(self, group: list[Transaction]) -> None:
        published = self._published()
        ahead = self._ahead
        while ahead and ahead[0][0] <= published:
            ahead.popleft()
        revision = self._revision
        changed: dict[bytes, Item | None] = {}
        layers = [changed, *(layer for _, layer in reversed(ahead))]
        items = self._items

        def current(key: bytes) -> Item | None:
            for layer in layers:
                if key in layer:
                    return layer[key]
            return items.get(key)

        rows: Parameters = []
        for transaction in group:
            try:
                committed = evaluate(transaction.ops, current, revision + 1)
            except Exception as error:
                transaction.error = error
                continue
            transaction.committed = committed
            if committed.events:
                revision = committed.revision
                _add_rows(rows, committed, transaction.deadlines)
                for event in committed.events:
                    changed[event.key] = event.item
        try:
            if rows:
                self._disk.append(rows)
        except Exception as error:  # whatever it is: nobody may wait for ever
            # Refusals too may rest on what was not written.
            for transaction in group:
                transaction.committed = None
                transaction.error = StoreError(f"store {self._disk.file}: not committed: {error}")
        else:
            if changed:
                ahead.append((revision, changed))
            self._revision = revision
        self._token.run_sync_soon(self._publish, group, self._revision)

    def _obey(self, order: Order) -> None:
        try:
            order.function()
        except apsw.Error as error:
            order.error = StoreError(f"store {self._disk.file}: {error}")
        except Exception as error:
            order.error = error
        self._token.run_sync_soon(order.done.set)

    def _sweep(self) -> None:
        """One step towards the line, as long as it has been found to take about `STEP`."""
        until = min(self._line, self._swept + self._stride)
        begin = time.perf_counter()
        try:
            self._disk.sweep(until)
        except apsw.Error:
            self._line = self._swept  # a full disk, say; the next compaction begins here again
            return
        self._swept = until
        if time.perf_counter() - begin > STEP:
            self._stride = max(self._stride // 2, 1)
        else:
            self._stride = min(self._stride * 2, 1024)


def _add_rows(rows: Parameters, committed: Committed, deadlines: Mapping[bytes, float]) -> None:
    place = committed.revision << SHIFT
    for event in committed.events:
        item, previous = event.item, event.previous
        rows += (
            place,
            event.key,
            0 if item is None else item.created,
            0 if previous is None else previous.revision,
            deadlines.get(event.key) if item is not None else None,
            None if item is None else item.value,
        )
        place += 1


def _not_now(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
