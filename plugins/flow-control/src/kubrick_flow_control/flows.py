"""A flow: the requests of one schema that are told apart from its others, and what is counted of them."""

from bisect import bisect_left
from enum import Enum

from attrs import define, field

from kubrick_apiserver.web import RequestInfo
from kubrick_flow_control.matching import Schema
from kubrick_flow_control.queues import Level, Queuing
from kubrick_flow_control.sharding import deal, flow_hash

WAITS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
READING = frozenset(("get", "head", "options", "proxy"))
UID_OF_SCHEMA, UID_OF_LEVEL = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"


@define(eq=False)
class Waits:
    """A histogram of how long requests waited."""

    counts: list[int] = field(factory=lambda: [0] * (len(WAITS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(WAITS, seconds)] += 1
        self.seconds += seconds


@define(eq=False)
class Counts:
    """Of one schema and level."""

    schema: str
    level: str
    dispatched: int = 0
    executing: int = 0
    seats: int = 0
    queued: int = 0
    executed: Waits = field(factory=Waits)
    """Of those that waited; the others waited for no time at all."""
    refused: Waits = field(factory=Waits)
    rejected: dict[str, int] = field(factory=dict)


class Kind(Enum):
    """How a request's work is estimated."""

    SINGLE = "single"
    LIST = "list"
    WATCH = "watch"
    WRITE = "write"


def kind_of(info: RequestInfo) -> Kind:
    """A token is created without an event, though service accounts may be watched."""
    if not info.resource_request or info.verb in READING:
        return Kind.SINGLE
    if info.verb == "list":
        return Kind.LIST
    if info.verb == "watch":
        return Kind.WATCH
    return Kind.SINGLE if (info.resource, info.subresource) == ("serviceaccounts", "token") else Kind.WRITE


@define(eq=False)
class Flow:
    """What is known of all requests alike in user, verb and target; kept from one to the next."""

    schema: Schema
    level: Level
    distinguisher: str
    counts: Counts
    kind: Kind
    headers: tuple[tuple[str, str], ...] = ()
    _hand: tuple[int, ...] = ()
    _dealt: Queuing | None = None

    def hand(self, queuing: Queuing) -> tuple[int, ...]:
        """The queues it may use."""
        if self._dealt != queuing:
            entropy = flow_hash(self.schema.name, self.distinguisher)
            self._hand = deal(entropy, queuing.queues, queuing.hand_size)
            self._dealt = queuing
        return self._hand


def headers(schema: Schema, level: Level) -> tuple[tuple[str, str], ...]:
    """That tell a client how it was classified."""
    return ((UID_OF_SCHEMA, schema.uid), (UID_OF_LEVEL, level.uid))
