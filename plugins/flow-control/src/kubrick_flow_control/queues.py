"""Fair queuing: who goes next when a priority level is full. Pure: the time comes in as a number.

Each queue has the virtual time at which its next request may begin; virtual time passes as fast as one
queue is served. The queue whose next request would end first is served first, so every queue that has something waiting
gets the same number of seat-seconds, however much the others ask for. A request is charged what it is
expected to take when it begins, and the difference when it ends
(apiserver/pkg/util/flowcontrol/fairqueuing/queueset).

While nobody waits there are no queues: a request that finds room just takes its seats. Only when the
first one has to wait do those that run get a place in the books.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import trio
from attrs import define, field, frozen

from kubrick_flow_control.limits import Demand, Limits
from kubrick_flow_control.seats import ONE, SERVICE_SECONDS, Work

if TYPE_CHECKING:
    from kubrick_apiserver.web import Request
    from kubrick_flow_control.flows import Flow

QUEUE_FULL, CONCURRENCY_LIMIT, TIME_OUT, CANCELLED = "queue-full", "concurrency-limit", "time-out", "cancelled"
WAITING, RUNNING, ENDED = "waiting", "running", "ended"


@frozen
class Queuing:
    """What a level does with requests it has no room for."""

    queues: int = 0
    """None: they are refused."""
    hand_size: int = 0
    length: int = 0
    """How many may wait in one queue."""


class Ticket:
    """One request on its way through a level."""

    __slots__ = (
        "arrived",
        "event",
        "flow",
        "level",
        "queue",
        "request",
        "seats",
        "settled",
        "started",
        "state",
        "virtual",
        "work",
    )

    def __init__(self, flow: "Flow", level: "Level", work: Work, arrived: float, request: "Request | None") -> None:
        self.flow = flow
        self.level = level
        self.work = work
        self.seats = work.seats if work is ONE else work.widest
        self.arrived = arrived
        self.started = arrived
        self.request = request
        self.state = ENDED
        self.settled = False
        self.queue: Queue | None = None
        self.virtual = 0.0
        """When it arrived, in its level's virtual time."""
        self.event: trio.Event | None = None
        """Set when it may go, for those who wait."""


@define(eq=False)
class Queue:
    """Some flows' requests, in order."""

    index: int
    next: float = 0.0
    """The virtual time at which its next request begins."""
    waiting: dict[Ticket, None] = field(factory=dict)
    waiting_seats: int = 0
    running: int = 0
    seats: int = 0

    @property
    def oldest(self) -> Ticket:
        return next(iter(self.waiting))


class Level:
    """A priority level: its seats, and who has or wants them. `limit` None: exempt."""

    def __init__(self, name: str, uid: str, bounds: Limits, queuing: Queuing, limit: int | None, now: float) -> None:
        self.name = name
        self.uid = uid
        self.bounds = bounds
        self.queuing = queuing
        self.limit = limit
        self.used = 0
        """Seats taken."""
        self.running: set[Ticket] = set()
        self.queues: dict[int, Queue] = {}
        """Those with something waiting or running."""
        self.waiting = 0
        self.wanted = 0
        """Seats that those who wait want."""
        self.demand = Demand(now)
        self.virtual = 0.0
        self._advanced = now
        self._served = -1
        self.quiescing = False
        """Its object is gone; it goes when its last request has."""
        self.dispatched = 0
        self.rejected: dict[str, int] = {}

    def enter(self, ticket: Ticket, now: float) -> str:
        """A request arrives: afterwards it runs or waits, or the answer is why it may not."""
        limit, used = self.limit, self.used + ticket.seats
        if limit is None or (not self.waiting and (used <= limit or self._has_room(ticket.seats, limit))):
            self.used = used
            self.running.add(ticket)
            self.dispatched += 1
            ticket.state = RUNNING
            self.demand.set(used + self.wanted, now)
            return ""
        reason = self._enqueue(ticket, now) if self.queuing.queues else CONCURRENCY_LIMIT
        if reason:
            self.rejected[reason] = self.rejected.get(reason, 0) + 1
        return reason

    def _has_room(self, seats: int, limit: int) -> bool:
        """A request wider than the level goes when it is alone there."""
        return self.used + seats <= limit or (self.used == 0 and limit > 0)

    def _enqueue(self, ticket: Ticket, now: float) -> str:
        self._advance(now)
        if not self.waiting:
            self._enter_in_books()
        queue = self._queue_for(ticket)
        if len(queue.waiting) >= self.queuing.length:
            self._forget_idle(queue)
            return QUEUE_FULL
        ticket.queue = queue
        ticket.virtual = self.virtual
        ticket.state = WAITING
        queue.waiting[ticket] = None
        queue.waiting_seats += ticket.seats
        self.waiting += 1
        self.wanted += ticket.seats
        self.demand.set(self.used + self.wanted, now)
        return ""

    def _enter_in_books(self) -> None:
        """Those who run and never waited are charged to their queues like the others."""
        for ticket in self.running:
            if ticket.queue is None and ticket.state is RUNNING:
                queue = ticket.queue = self._queue_for(ticket)
                queue.running += 1
                queue.seats += ticket.seats
                queue.next += ticket.work.expected

    def _queue_for(self, ticket: Ticket) -> Queue:
        """The emptiest of the flow's hand."""
        hand = ticket.flow.hand(self.queuing)
        found = self.queues
        index = min(hand, key=lambda index: found[index].waiting_seats + found[index].seats if index in found else 0)
        queue = found.get(index)
        if queue is None:
            queue = found[index] = Queue(index, self.virtual)
        return queue

    def dispatch(self, now: float) -> Iterator[Ticket]:
        """Those who waited and may go now, in order."""
        limit = self.limit
        while self.waiting:
            queue = self._next_queue()
            ticket = queue.oldest
            if limit is not None and not self._has_room(ticket.seats, limit):
                return
            self._advance(now)
            self._take_out(queue, ticket)
            self._served = queue.index
            queue.running += 1
            queue.seats += ticket.seats
            queue.next += ticket.work.expected
            self._bound(queue)
            self.used += ticket.seats
            self.running.add(ticket)
            self.dispatched += 1
            ticket.state = RUNNING
            ticket.started = now
            self.demand.set(self.used + self.wanted, now)
            yield ticket

    def _next_queue(self) -> Queue:
        """The one whose oldest request would end first; of equals, the next one round."""
        size = max(self.queuing.queues, max(self.queues) + 1)
        served = self._served

        def rank(queue: Queue) -> tuple[float, int]:
            return queue.next + queue.oldest.work.expected, (queue.index - served - 1) % size

        return min((queue for queue in self.queues.values() if queue.waiting), key=rank)

    def answered(self, ticket: Ticket, now: float) -> int:
        """Its answer is ready. Returns the seats it goes on to hold for a while, for which `leave` is due later."""
        final = ticket.work.final_seats
        if ticket.state is not RUNNING or not final:
            return 0
        self._settle(ticket, now)
        self._give_back(ticket, ticket.seats - final, now)
        ticket.seats = final
        return final

    def leave(self, ticket: Ticket, now: float) -> None:
        """It is done with. Idempotent."""
        if ticket.state is not RUNNING:
            return
        ticket.state = ENDED
        self.running.discard(ticket)
        queue = ticket.queue
        if queue is None:
            self.used -= ticket.seats
            self.demand.set(self.used + self.wanted, now)
        else:
            self._settle(ticket, now)
            self._give_back(ticket, ticket.seats, now)
            queue.running -= 1
            self._bound(queue)
            self._forget_idle(queue)

    def _settle(self, ticket: Ticket, now: float) -> None:
        """Charge what it took until it was answered instead of what it was thought to take."""
        queue, work = ticket.queue, ticket.work
        if queue is not None and not ticket.settled:
            ticket.settled = True
            queue.next += work.seats * (now - ticket.started - SERVICE_SECONDS)

    def _give_back(self, ticket: Ticket, seats: int, now: float) -> None:
        self.used -= seats
        if ticket.queue is not None:
            self._advance(now)
            ticket.queue.seats -= seats
        self.demand.set(self.used + self.wanted, now)

    def give_up(self, ticket: Ticket, reason: str, now: float) -> None:
        """Somebody waits no longer."""
        queue = ticket.queue
        if ticket.state is not WAITING or queue is None:
            return
        self._advance(now)
        self._take_out(queue, ticket)
        ticket.state = ENDED
        self._bound(queue)
        self._forget_idle(queue)
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        self.demand.set(self.used + self.wanted, now)

    def _take_out(self, queue: Queue, ticket: Ticket) -> None:
        del queue.waiting[ticket]
        queue.waiting_seats -= ticket.seats
        self.waiting -= 1
        self.wanted -= ticket.seats

    def _bound(self, queue: Queue) -> None:
        """A queue gets no credit for the time when it had nothing waiting."""
        if queue.waiting:
            queue.next = max(queue.next, queue.oldest.virtual - queue.oldest.work.expected)

    def _forget_idle(self, queue: Queue) -> None:
        if not queue.waiting and not queue.running:
            self.queues.pop(queue.index, None)

    def _advance(self, now: float) -> None:
        """Virtual time passes at the rate at which each queue is served."""
        if self.queues:
            wanted = self.used + self.wanted
            rate = min(wanted, wanted if self.limit is None else self.limit) / len(self.queues)
            self.virtual += (now - self._advanced) * rate
        self._advanced = now

    def tickets(self) -> Iterable[Ticket]:
        """All who run or wait here."""
        yield from self.running
        for queue in self.queues.values():
            yield from queue.waiting
