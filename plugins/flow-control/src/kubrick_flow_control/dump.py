"""What /debug/api_priority_and_fairness/dump_{priority_levels,queues,requests} show: tables of text, with
columns for people and a comma after each for programs."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import trio

from kubrick_apiserver.web import Handler, Request, Response
from kubrick_flow_control.control import Control
from kubrick_flow_control.queues import CANCELLED, CONCURRENCY_LIMIT, QUEUE_FULL, TIME_OUT, WAITING, Level, Ticket
from kubrick_http.writer import text_response
from kubrick_kernel import Clock

ROOT = "/debug/api_priority_and_fairness/"
NEVER = "0001-01-01T00:00:00Z"
LEVELS = (
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
)
QUEUES = (
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
)
REQUESTS = (
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "ArriveTime",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
    "StartTime",
)
"""One of them is spelled as upstream spells it."""
DETAILS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")

Row = tuple[object, ...]


class Dumps:
    """The three pages."""

    def __init__(self, control: Control, clock: Clock) -> None:
        self._control = control
        self._clock = clock

    def paths(self) -> dict[str, Handler]:
        return {
            f"{ROOT}dump_priority_levels": self.levels,
            f"{ROOT}dump_queues": self.queues,
            f"{ROOT}dump_requests": self.requests,
        }

    async def levels(self, request: Request) -> Response:
        return text_response(200, table(LEVELS, [self._level(level) for level in self._levels()]))

    async def queues(self, request: Request) -> Response:
        rows = [row for level in self._levels() for row in _queues(level)]
        return text_response(200, table(QUEUES, rows))

    async def requests(self, request: Request) -> Response:
        detailed = request.query.get("includeRequestDetails") in ("1", "true")
        rows = [row for level in self._levels() for row in self._requests(level, detailed=detailed)]
        return text_response(200, table(REQUESTS + (DETAILS if detailed else ()), rows))

    def _levels(self) -> list[Level]:
        return [level for _, level in sorted(self._control.levels.items())]

    def _level(self, level: Level) -> Row:
        refused = level.rejected
        return (
            level.name,
            sum(1 for queue in level.queues.values() if queue.waiting),
            not level.running and not level.waiting,
            level.quiescing,
            level.waiting,
            len(level.running),
            level.dispatched,
            refused.get(QUEUE_FULL, 0) + refused.get(CONCURRENCY_LIMIT, 0),
            refused.get(TIME_OUT, 0),
            refused.get(CANCELLED, 0),
        )

    def _requests(self, level: Level, *, detailed: bool) -> Iterator[Row]:
        for ticket in sorted(level.running, key=lambda ticket: ticket.started):
            yield self._request(ticket, -1, -1, detailed=detailed)
        for index, queue in sorted(level.queues.items()):
            for place, ticket in enumerate(queue.waiting):
                yield self._request(ticket, index, place, detailed=detailed)

    def _request(self, ticket: Ticket, queue: int, place: int, *, detailed: bool) -> Row:
        flow, work = ticket.flow, ticket.work
        row: Row = (
            ticket.level.name,
            flow.schema.name,
            queue,
            place,
            flow.distinguisher,
            self._time(ticket.arrived),
            work.seats,
            work.final_seats,
            f"{work.latency:g}s",
            NEVER if ticket.state is WAITING else self._time(ticket.started),
        )
        if not detailed or ticket.request is None:
            return row
        info = ticket.request.info
        return (
            *row,
            ticket.request.user.name,
            info.verb,
            info.path,
            info.namespace,
            info.name,
            info.version,
            info.resource,
            info.subresource,
        )

    def _time(self, when: float) -> str:
        moment: datetime = self._clock.now() - timedelta(seconds=trio.current_time() - when)
        return moment.isoformat().replace("+00:00", "Z")


def _queues(level: Level) -> Iterator[Row]:
    for index in range(level.queuing.queues):
        queue = level.queues.get(index)
        if queue is None:
            yield level.name, index, 0, 0, 0, "0.00000000ss", 0, 0, "0.00000000ss"
            continue
        works = [ticket.work for ticket in queue.waiting]
        yield (
            level.name,
            index,
            len(works),
            queue.running,
            queue.seats,
            f"{queue.next:.8f}ss",
            sum(work.seats for work in works),
            sum(work.widest for work in works),
            f"{sum(work.expected for work in works):.8f}ss",
        )


def table(heads: tuple[str, ...], rows: list[Row]) -> str:
    """Columns as wide as they have to be."""
    texts = [heads, *(tuple(_text(value) for value in row) for row in rows)]
    widths = [max(len(row[column]) for row in texts) + 2 for column in range(len(heads))]
    lines = []
    for row in texts:
        cells = [f"{cell},".ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("".join(cells) + row[-1])
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
