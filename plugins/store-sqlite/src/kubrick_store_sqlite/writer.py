"""Group commit: everything that was asked for meanwhile becomes one group, with one disk flush.

A group is judged here, each transaction against the state as of the one before it, and sent to the
process that writes as one statement's parameters. Its answer is made known in one call (`publish`),
which wakes everybody who waits. One group is under way at a time, so what is published is all there is
when the next one is judged. The first of a group lets everybody else who can run go first, so that
groups are large; but a group has at most half of those who are about (as many as the last one had, and
who waits now). Else all who commit in a loop would end up in one group, and this process would have
nothing to do while that is written, nor the other one while their next commits are made ready.

Should the process die (killed for its memory, say), another one takes its place. Only it writes, so
the newest revision in the file tells what became of the group under way: it is published if it is
there, and sent again if it isn't.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from kubrick_kernel.log import get_logger
from kubrick_kernel.store import Committed, Item, Op, StoreError
from kubrick_kernel.transaction import evaluate
from kubrick_store_sqlite.child import Child
from kubrick_store_sqlite.disk import Disk
from kubrick_store_sqlite.pen import SHIFT, Parameters

log = get_logger("store-sqlite")
GROUP = 500
"""Transactions per group at most, so that the first one's answer doesn't wait for ever."""
ATTEMPTS = 3
"""Processes in a row that may die over the same work."""


class Transaction:
    """One commit under way: what is asked, who waits, and the answer."""

    __slots__ = ("_task", "committed", "deadlines", "error", "ops")

    def __init__(self, ops: Sequence[Op], deadlines: Mapping[bytes, float]) -> None:
        self.ops = ops
        self.deadlines = deadlines
        self.committed: Committed | None = None
        self.error: Exception | None = None
        self._task: trio.lowlevel.Task | None = None

    async def sleep(self) -> None:
        """Until `wake`, cancelled or not."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(_not_now)

    def wake(self) -> None:
        """No harm is done if it doesn't sleep."""
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)


class Group:
    """What is to be committed, the revision after it, and the rows to write."""

    __slots__ = ("revision", "rows", "transactions")

    def __init__(self, transactions: list[Transaction], revision: int) -> None:
        self.transactions = transactions
        self.revision = revision
        self.rows: Parameters = []


class Order:
    """Something else to do between groups."""

    __slots__ = ("argument", "done", "error", "verb")

    def __init__(self, verb: str, argument: int | None) -> None:
        self.verb = verb
        self.argument = argument
        self.error: StoreError | None = None
        self.done = trio.Event()


class Writer:
    """Groups and orders on their way. `items` is the published state, `published()` its revision,
    `written()` the newest in the file."""

    def __init__(
        self,
        disk: Disk,
        child: Child,
        items: Mapping[bytes, Item],
        published: Callable[[], int],
        publish: Callable[[list[Transaction], int], None],
        written: Callable[[], Awaitable[int]],
    ) -> None:
        self.child = child
        self._disk = disk
        self._items = items
        self._published = published
        self._publish = publish
        self._written = written
        self._waiting: list[Transaction] = []
        """Asked for, and not yet sent."""
        self._under_way: deque[Group | Order] = deque()
        """Sent, or to be sent once there is a process again, and not yet answered."""
        self._busy = False
        """Whether there is a group among them."""
        self._size = 0
        """Of the last group."""
        self._replacing = False
        self._deaths = 0
        """Since the last answer."""
        self._closed: str | None = None
        """Why nothing more is taken."""
        self._ending = False
        """Whether nothing more can be sent."""
        self._resting = trio.lowlevel.ParkingLot()

    async def commit(self, transaction: Transaction) -> Committed:
        """Have a transaction committed. Once begun it is seen to its end, cancelled or not."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        self._waiting.append(transaction)
        if self._busy or len(self._waiting) > 1:
            await transaction.sleep()
        if transaction.committed is None and transaction.error is None:
            # This one leads the next group.
            await trio.lowlevel.cancel_shielded_checkpoint()
            if self._send_group():
                await transaction.sleep()
        if transaction.error is not None:
            raise transaction.error
        assert transaction.committed is not None
        return transaction.committed

    async def draw_line(self, revision: int) -> None:
        """Forget, in time, what is only needed for revisions before `revision`."""
        await self._order("draw_line", revision)

    async def finish_checkpoint(self) -> None:
        """Copy the last few pages of the write-ahead log to the file, so that it begins anew."""
        await self._order("finish_checkpoint", None)

    async def run(self) -> None:
        """Take answers until `stop`, being cancelled or not, and see the process to its end. Raises
        StoreError if no process can be kept alive; everybody who waits has been told by then."""
        with trio.CancelScope(shield=True):
            try:
                while True:
                    await self._take_answers()
                    if self._ending:
                        return
                    await self._replace()
            except Exception as error:  # whatever it is: nobody may wait for ever
                self._give_up(self._bare(error))
                raise
            finally:
                await self.child.end()

    async def stop(self) -> None:
        """Finish what was asked for, and have `run` return."""
        self._closed = self._closed or "it is closed"
        while self._busy or self._waiting or self._under_way or self._replacing:
            await self._resting.park()
        self._ending = True
        self.child.hang_up()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise StoreError(f"store {self._disk.file}: {self._closed}")

    async def _order(self, verb: str, argument: int | None) -> None:
        self._check_open()
        order = Order(verb, argument)
        self._send(order)
        with trio.CancelScope(shield=True):
            await order.done.wait()
        if order.error is not None:
            raise order.error

    def _send_group(self) -> bool:
        """Judge whatever waits and send it; False if it has been answered already."""
        waiting = self._waiting
        size = min((len(waiting) + self._size + 1) // 2, GROUP)
        transactions, self._waiting = waiting[:size], waiting[size:]
        self._size = len(transactions)
        group = self._judged(transactions)
        self._busy = True
        if not group.rows or self._ending:
            self._take_back(group, f"not committed: {self._closed}" if group.rows else None)
            self._resting.unpark_all()
            return False
        self._send(group)
        return True

    def _judged(self, transactions: list[Transaction]) -> Group:
        revision = self._published()
        group = Group(transactions, revision)
        changed: dict[bytes, Item | None] = {}
        items = self._items

        def current(key: bytes) -> Item | None:
            return changed[key] if key in changed else items.get(key)

        for transaction in transactions:
            try:
                committed = evaluate(transaction.ops, current, revision + 1)
            except Exception as error:
                transaction.error = error
                continue
            transaction.committed = committed
            if committed.events:
                revision = committed.revision
                _add_rows(group.rows, committed, transaction.deadlines)
                for event in committed.events:
                    changed[event.key] = event.item
        group.revision = revision
        return group

    def _send(self, request: Group | Order) -> None:
        self._under_way.append(request)
        if not self._replacing:
            if isinstance(request, Group):
                self.child.ask("append", request.rows)
            else:
                self.child.ask(request.verb, request.argument)

    async def _take_answers(self) -> None:
        """Until there won't be any more from this process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.child.send_rest)
            while (answer := await self.child.receive()) is not None:
                error, self._disk.wal_pages = answer
                self._deaths = 0
                request = self._under_way[0]
                if isinstance(request, Group):
                    self._take_back(request, None if error is None else f"not committed: {error}")
                else:
                    self._done(request, error)
                self._under_way.popleft()
                self._resting.unpark_all()
            nursery.cancel_scope.cancel()

    async def _replace(self) -> None:
        """Start another process and give it what the last one left undone."""
        self._replacing = True
        reason = f"the process that writes to it ended with status {await self.child.end()}"
        self._deaths += bool(self._under_way)
        self._take_back_what_is_written(await self._written())
        while True:
            if self._deaths >= ATTEMPTS:
                raise StoreError(f"store {self._disk.file}: {reason}, {ATTEMPTS} times in a row")
            log.warning("writing goes on in another process", store=str(self._disk.file), reason=reason)
            try:
                await self.child.start()
                await self.child.locked()
                self._disk.wal_pages = await self.child.opened()
                break
            except StoreError as error:
                await self.child.end()
                reason = self._bare(error)
                self._deaths += 1
        self._replacing = False
        left, self._under_way = self._under_way, deque()
        for request in left:
            self._send(request)
        self._resting.unpark_all()

    def _take_back_what_is_written(self, revision: int) -> None:
        """Nothing is added to the file while there is no process, so what isn't there can be sent again."""
        for request in self._under_way:
            if isinstance(request, Group) and request.revision <= revision:
                self._under_way.remove(request)
                self._deaths = 0
                self._take_back(request, None)
                break

    def _give_up(self, reason: str) -> None:
        """Nothing will be answered any more."""
        self._closed = reason
        self._ending, self._replacing = True, False
        left, self._under_way = self._under_way, deque()
        for request in left:
            if isinstance(request, Group):
                self._take_back(request, f"not known whether committed: {reason}")
            else:
                self._done(request, reason)
        self._resting.unpark_all()

    def _take_back(self, group: Group, error: str | None) -> None:
        """A group's answer is known: tell everybody, and wake who leads the next one."""
        revision = group.revision
        if error is not None:
            # Refusals too may rest on what was not written.
            for transaction in group.transactions:
                transaction.committed = None
                transaction.error = StoreError(f"store {self._disk.file}: {error}")
            revision = self._published()
        self._busy = False
        self._publish(group.transactions, revision)
        for transaction in group.transactions:
            transaction.wake()
        if self._waiting:
            self._waiting[0].wake()

    def _done(self, order: Order, error: str | None) -> None:
        if error is not None:
            order.error = StoreError(f"store {self._disk.file}: {error}")
        order.done.set()

    def _bare(self, error: Exception) -> str:
        return str(error).removeprefix(f"store {self._disk.file}: ")


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
