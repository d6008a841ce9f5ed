"""The writer thread: everything that was asked for meanwhile becomes one group, with one disk flush.

A group is judged in the trio thread, each transaction against the state as of the one before it, and
handed to the writer as one statement's parameters. It comes back in one call (`publish`, run in the
trio thread), which wakes everybody who waits. One group is under way at a time, so what is
published is all there is when the next one is judged. The two threads share the interpreter's lock, and
passing it back and forth costs more than writing a row: so the first of a group lets everybody else who
can run go first, which makes groups as large as the load has them.
Between groups the writer does a bounded piece of housekeeping.
"""

import threading
import time
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


Group = tuple[list[Transaction], int, Parameters]
"""What is to be committed, the revision after it, and the rows to write."""


class Writer:
    """The thread and its queue. `items` is the published state, `published()` its revision."""

    def __init__(
        self,
        disk: Disk,
        swept: tuple[int, int],
        items: Mapping[bytes, Item],
        published: Callable[[], int],
        publish: Callable[[list[Transaction], int], None],
    ) -> None:
        self._disk = disk
        self._swept, self._line = swept
        self._items = items
        self._published = published
        self._publish = publish
        self._stride = 64
        self._waiting: list[Transaction] = []
        """Asked for, and not yet with the writer."""
        self._busy = False
        self._idle = trio.lowlevel.ParkingLot()
        self._queue: SimpleQueue[Group | Order | None] = SimpleQueue()
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
        waiting = self._waiting
        waiting.append(transaction)
        if self._busy or len(waiting) > 1:
            await trio.lowlevel.wait_task_rescheduled(_not_now)
        if transaction.committed is None and transaction.error is None:
            # This one leads the next group.
            await trio.lowlevel.cancel_shielded_checkpoint()
            self._hand_over()
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
        """Finish what was asked for and end the thread."""
        self._open = False
        while self._busy or self._waiting:
            await self._idle.park()
        self._queue.put(None)
        await self._ended.wait()
        self._thread.join()

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("the store is closed")

    def _hand_over(self) -> None:
        """Judge whatever waits and give it to the writer."""
        waiting = self._waiting
        group, self._waiting = (waiting, []) if len(waiting) <= GROUP else (waiting[:GROUP], waiting[GROUP:])
        revision = self._published()
        changed: dict[bytes, Item | None] = {}
        items = self._items

        def current(key: bytes) -> Item | None:
            return changed[key] if key in changed else items.get(key)

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
        self._busy = True
        self._queue.put((group, revision, rows))

    def _take_back(self, group: list[Transaction], revision: int, error: Exception | None) -> None:
        """In the trio thread again: tell everybody, and wake who leads the next group."""
        if error is not None:
            # Refusals too may rest on what was not written.
            for transaction in group:
                transaction.committed = None
                transaction.error = StoreError(f"store {self._disk.file}: not committed: {error}")
            revision = self._published()
        self._busy = False
        self._publish(group, revision)
        if self._waiting:
            leader = self._waiting[0].task
            assert leader is not None
            trio.lowlevel.reschedule(leader)
        else:
            self._idle.unpark_all()

    # The writer thread

    def _run(self) -> None:
        queue = self._queue
        while True:
            sweeping = self._swept < self._line
            if not sweeping or queue.qsize():
                work = queue.get()
                if work is None:
                    break
                if isinstance(work, Order):
                    self._obey(work)
                else:
                    self._write(*work)
            if sweeping:
                self._sweep()
        self._token.run_sync_soon(self._ended.set)

    def _write(self, group: list[Transaction], revision: int, rows: Parameters) -> None:
        error = None
        try:
            if rows:
                self._disk.append(rows)
        except Exception as reason:  # whatever it is: nobody may wait for ever
            error = reason
        self._token.run_sync_soon(self._take_back, group, revision, error)

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
