"""`FlowControl`: classifies every request, lets it run or wait, and follows the objects that say how.

A request that finds room is a look-up, a few additions and no await. What a user, verb and target mean
is looked up once and remembered until a FlowSchema or priority level changes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import trio

from kubrick_api.storage import UserInfo
from kubrick_apiserver.web import Request, RequestInfo
from kubrick_flow_control import matching, seats
from kubrick_flow_control.flows import Counts, Flow, Kind, headers, kind_of
from kubrick_flow_control.limits import Claim, Demand, Limits, adjust, limits
from kubrick_flow_control.queues import CANCELLED, ENDED, RUNNING, TIME_OUT, WAITING, Level, Queuing, Ticket
from kubrick_flow_control.seats import ONE, Work

Object = dict[str, Any]
REMEMBERED = 8192
"""How many combinations of user, verb and target are kept."""
CATCH_ALL = "catch-all"


class Place(Ticket):
    """`kubrick_apiserver.flow.Ticket`."""

    __slots__ = ("_control", "headers", "is_running")

    def __init__(self, control: "Control", flow: Flow, work: Work, arrived: float, request: Request) -> None:
        # As `Ticket` does it; a call less, 30,000 times a second.
        self.flow = flow
        self.level = flow.level
        self.work = work
        self.seats = 1 if work is ONE else work.widest
        self.arrived = self.started = arrived
        self.request = request
        self.state = ENDED
        self.settled = False
        self.queue = self.event = None
        self.virtual = 0.0
        self._control = control
        self.headers = flow.headers
        self.is_running = False

    async def wait(self, seconds: float) -> bool:
        if self.state is not WAITING:
            return self.state is RUNNING
        self.event = trio.Event()
        control = self._control
        try:
            with trio.move_on_after(seconds):
                await self.event.wait()
        except trio.Cancelled:
            now = trio.current_time()
            control.give_up(self, CANCELLED, now)
            self.leave(now)
            raise
        if self.state is WAITING:
            control.give_up(self, TIME_OUT, trio.current_time())
        return self.state is RUNNING

    def leave(self, now: float) -> None:
        if self.state is not RUNNING:
            return
        control, level = self._control, self.level
        if self.work.final_seats and control.later is not None:
            control.keep(self, now)
        else:
            counts = self.flow.counts
            counts.executing -= 1
            counts.seats -= self.seats
            level.leave(self, now)
        if level.waiting:
            control.go_on(level, now)

    def watch(self, change: int) -> None:
        if self.request is not None:
            self._control.watch(self.request.info, change)


class Control:
    """`kubrick_apiserver.flow.FlowControl`. `server` is how many seats there are, `count` says how many objects
    of a group, version and resource are stored, `objects` are those in force (see `reload`)."""

    def __init__(
        self, server: int, count: Callable[[str, str, str], int], objects: Iterable[Object], now: float = 0.0
    ) -> None:
        self._server = server
        self._count = count
        self.schemas: Sequence[matching.Schema] = ()
        self.levels: dict[str, Level] = {}
        self.claims: dict[str, Claim] = {}
        self.counts: dict[tuple[str, str], Counts] = {}
        self.watchers: dict[tuple[str, str, str], int] = {}
        """Open watches by group, resource and namespace."""
        self._flows: dict[tuple[Any, ...], Flow] = {}
        self.later: trio.Nursery | None = None
        """Where those wait that go on to hold seats after their answer; without one they leave at once."""
        self.reload(objects, now)

    def reload(self, objects: Iterable[Object], now: float) -> None:
        """Take over FlowSchemas and priority levels as they are. The mandatory ones must be among them."""
        objects = list(objects)
        specs = {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == "PriorityLevelConfiguration"}
        bounds = limits(self._server, {name: obj.get("spec") or {} for name, obj in specs.items()})
        for name, obj in specs.items():
            self._configure(name, obj, bounds[name], now)
        for name in [name for name in self.levels if name not in specs]:
            self.levels[name].quiescing = True
            self.claims.pop(name, None)
        self._drop_idle()
        schemas = (matching.compile_schema(obj) for obj in objects if obj["kind"] == "FlowSchema")
        self.schemas = matching.in_order(schema for schema in schemas if schema.level in specs)
        self._flows.clear()

    def _configure(self, name: str, obj: Object, bounds: Limits, now: float) -> None:
        spec, uid = obj.get("spec") or {}, obj["metadata"].get("uid", "")
        exempt = spec.get("type") == "Exempt"
        queuing = _queuing(spec)
        level = self.levels.get(name)
        if level is None or level.quiescing:
            limit = None if exempt else bounds.nominal
            level = self.levels[name] = Level(name, uid, bounds, queuing, limit, now)
            self.claims[name] = Claim(bounds, exempt, smoothed=bounds.nominal)
            return
        level.uid, level.queuing = uid, queuing
        if level.bounds != bounds:
            level.bounds = bounds
            self.claims[name].limits = bounds
            self._limit(level, None if exempt else bounds.nominal, now)

    def _limit(self, level: Level, limit: int | None, now: float) -> None:
        level.limit = limit
        self.go_on(level, now)

    def _drop_idle(self) -> None:
        """Levels whose object is gone, and now their last request too."""
        for name, level in list(self.levels.items()):
            if level.quiescing and not level.running and not level.waiting:
                del self.levels[name]

    def begin(self, now: float) -> None:
        """Demand counts from now on."""
        for level in self.levels.values():
            level.demand = Demand(now)

    def borrow(self, now: float) -> None:
        """Every ten seconds: deal the seats anew."""
        self._drop_idle()
        for name, claim in self.claims.items():
            claim.take(*self.levels[name].demand.reset(now))
        for name, limit in adjust(self.claims).items():
            if self.levels[name].limit is not None:
                self._limit(self.levels[name], limit, now)

    def enter(self, request: Request, now: float) -> Place:
        """`FlowControl.enter`."""
        info, user = request.info, request.user
        key = (
            user.name,
            user.groups,
            info.verb,
            info.group,
            info.resource,
            info.subresource,
            info.namespace,
            info.resource_request or info.path,
        )
        flow = self._flows.get(key)
        if flow is None:
            flow = self._classify(info, user)
            if len(self._flows) >= REMEMBERED:
                self._flows.clear()
            self._flows[key] = flow
        work = ONE if flow.kind is Kind.SINGLE else self._estimate(flow, request)
        ticket = Place(self, flow, work, now, request)
        counts = flow.counts
        refused = flow.level.enter(ticket, now)
        if ticket.state is RUNNING:
            ticket.is_running = True
            counts.dispatched += 1
            counts.executing += 1
            counts.seats += ticket.seats
        elif ticket.state is WAITING:
            counts.queued += 1
        else:
            counts.rejected[refused] = counts.rejected.get(refused, 0) + 1
            counts.refused.add(0.0)
        return ticket

    def _classify(self, info: RequestInfo, user: UserInfo) -> Flow:
        """Somebody without any group, whom even the last schema doesn't know, is treated as it says all the same."""
        schema = matching.find(self.schemas, info, user)
        if schema is None:
            schema = next(schema for schema in self.schemas if schema.name == CATCH_ALL)
        level = self.levels[schema.level]
        counts = self.counts.get((schema.name, level.name))
        if counts is None:
            counts = self.counts[schema.name, level.name] = Counts(schema.name, level.name)
        distinguisher = schema.distinguisher(info, user)
        return Flow(schema, level, distinguisher, counts, kind_of(info), headers(schema, level))

    def _estimate(self, flow: Flow, request: Request) -> Work:
        if flow.kind is Kind.WRITE and not self.watchers:
            return ONE
        info, most = request.info, flow.level.bounds.widest_request
        if flow.kind is Kind.WRITE:
            return seats.of_write(self._watching(info), most)
        stored = self._count(info.group, info.version, info.resource)
        estimate = seats.of_list if flow.kind is Kind.LIST else seats.of_watch
        return estimate(request.query, stored, info.name, most)

    def _watching(self, info: RequestInfo) -> int:
        """How many see what is written there."""
        everywhere = self.watchers.get((info.group, info.resource, ""), 0)
        if not info.namespace:
            return everywhere
        return everywhere + self.watchers.get((info.group, info.resource, info.namespace), 0)

    def give_up(self, ticket: Ticket, reason: str, now: float) -> None:
        """It waits no longer."""
        if ticket.state is not WAITING:
            return
        ticket.level.give_up(ticket, reason, now)
        counts = ticket.flow.counts
        counts.queued -= 1
        counts.rejected[reason] = counts.rejected.get(reason, 0) + 1
        counts.refused.add(now - ticket.arrived)
        self.go_on(ticket.level, now)

    def keep(self, ticket: Ticket, now: float) -> None:
        """It was answered, and goes on to hold seats."""
        assert self.later is not None
        before = ticket.seats
        ticket.flow.counts.seats -= before - ticket.level.answered(ticket, now)
        self.later.start_soon(self._linger, ticket)

    async def _linger(self, ticket: Ticket) -> None:
        """Its event is on the way to the watchers."""
        try:
            await trio.sleep(ticket.work.latency)
        finally:
            now = trio.current_time()
            counts = ticket.flow.counts
            counts.executing -= 1
            counts.seats -= ticket.seats
            ticket.level.leave(ticket, now)
            self.go_on(ticket.level, now)

    def go_on(self, level: Level, now: float) -> None:
        """Wake those for whom there is room now."""
        for ticket in level.dispatch(now):
            counts = ticket.flow.counts
            counts.queued -= 1
            counts.dispatched += 1
            counts.executing += 1
            counts.seats += ticket.seats
            counts.executed.add(now - ticket.arrived)
            if ticket.event is not None:
                ticket.event.set()

    def watch(self, info: RequestInfo, change: int) -> None:
        """A watch is open (1), or closed (-1)."""
        key = info.group, info.resource, info.namespace
        count = self.watchers.get(key, 0) + change
        if count:
            self.watchers[key] = count
        else:
            self.watchers.pop(key, None)


def _queuing(spec: Mapping[str, Any]) -> Queuing:
    response = (spec.get("limited") or {}).get("limitResponse") or {}
    queuing = response.get("queuing") or {}
    if response.get("type") != "Queue":
        return Queuing()
    return Queuing(queuing.get("queues") or 64, queuing.get("handSize") or 8, queuing.get("queueLengthLimit") or 50)
