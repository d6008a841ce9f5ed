"""The scheduler plugin contract: the extension points of kube-scheduler, over all nodes at once.

A plugin is an object with a `name` and the methods of the points it takes part in; it registers through
the hook `kubrick_register_scheduler_plugins`. The points, in the order in which a pod meets them:

| method | when | a refusal means |
|---|---|---|
| `pre_enqueue` | a pod is about to enter the active queue | it stays gated until one of the plugin's events |
| `sort_key` | pods are put in order (exactly one plugin) | - |
| `pre_filter` | an attempt begins | no node can take the pod |
| `filter` | for all nodes at once | those nodes can't take the pod |
| `post_filter` | no node was left | (may make room: preemption) |
| `pre_score`, `score`, `normalize` | more than one node was left | - |
| `reserve` | a node was chosen, before anything is written | undone, tried again on the plugin's events |
| `permit` | after `reserve` | the same; or: wait |
| `pre_bind`, `bind`, `post_bind` | in a task of the pod's own, other pods go on | undone, tried again after a backoff |

**Nodes are columns.** `nodes` is a `kubrick_scheduler.table.NodeTable`: row i of every column is one node,
`nodes.size` rows in all, of which those with `nodes.valid` are nodes (the others are free rows: whatever you
answer for them is ignored). Masks are numpy bool arrays and scores numpy int64 arrays of length
`nodes.size`. A scorer answers for every row, feasible or not; only feasible rows count.
An author who would rather look at one node at a time uses `kubrick_scheduler.per_node`.

**Pure until reserve.** From `pre_filter` to `normalize` a plugin changes nothing but `pod.state`, a dict
that starts empty with each attempt and carries its findings from one method to the next (use your plugin's
name as key). Pods, nodes and the table are shared: never change them. Answers must follow from the
arguments, so that a decision can be explained, repeated and compared with kube-scheduler's.

**Events.** `events_to_register` names the cluster events that may turn a refusal of this plugin; without
it the plugin is asked about everything. A pod refused by a plugin waits in the unschedulable pool until one
of these happens and its hint (if it has one) says that it may help.

This module needs no numpy, so a plugin's entry-point module may import it freely.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from kubrick_scheduler.events import Action, ClusterEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kubrick_api.names import GVR
    from kubrick_client import Client, EventRecorder, Informer
    from kubrick_kernel import Clock
    from kubrick_kernel.clock import Random
    from kubrick_scheduler.pod import PodInfo
    from kubrick_scheduler.table import NodeTable

    BoolArray = NDArray[np.bool_]
    IntArray = NDArray[np.int64]
    RowArray = NDArray[np.intp]

MAX_NODE_SCORE = 100


class Skip(Enum):
    """`SKIP`: this plugin has nothing to say about this pod at the coupled points (after `pre_filter`:
    its `filter`; after `pre_score`: its `score` and `normalize`). Answering it keeps scheduling fast."""

    SKIP = "skip"


SKIP = Skip.SKIP


@frozen(eq=False)
class Refusal:
    """A reason why some nodes (or, from `pre_filter`, `reserve` and `permit`: the attempt) are refused.

    `reason` is what users read, the same text for every node it concerns, for it is counted
    ("2 Insufficient cpu"). `detail` and `change` are for explanations: what stood against it on one
    node (row) in numbers, and the smallest change that would let the pod fit as far as this reason goes.
    """

    reason: str
    rows: RowArray | None = None
    """The rows it concerns; None: all."""
    unresolvable: BoolArray | bool = False
    """Whether removing pods could not help (preemption leaves such nodes alone): one answer, or one per
    entry of `rows`."""
    detail: Callable[[int], str] | None = None
    change: str = ""


@frozen
class Wait:
    """`permit` says: not yet. The pod waits up to `seconds` (at most 15 minutes) for
    `Handle.allow`, and is refused after that."""

    seconds: float


@frozen
class PostFilterResult:
    """What `post_filter` found. `message` is appended to the FailedScheduling event; `act`, if any, is run
    outside the cycle (deleting victims); `nominated_node` is written to the pod's status."""

    message: str
    nominated_node: str = ""
    act: Callable[[], Awaitable[None]] | None = None


Hint = Callable[["PodInfo", "dict[str, Any] | None", "dict[str, Any] | None"], bool]
"""Asked when a registered event happened: (the waiting pod, the object before, the object after; None for
one that is not there) → whether the pod may now pass this plugin. Raising counts as yes."""


@frozen(eq=False)
class EventWithHint:
    """One event that may turn this plugin's refusals; without `hint` it always may."""

    event: ClusterEvent
    hint: Hint | None = None


class Plugin(Protocol):
    """Anything with a name. Kubernetes' plugin names are in CamelCase (NodeAffinity)."""

    name: str


class Handle(Protocol):
    """What the framework gives a plugin in `setup`."""

    client: Client
    """Speaks as ``system:kube-scheduler``."""
    clock: Clock
    random: Random
    nodes: NodeTable
    """The live table; to look at, never to change."""
    recorder: EventRecorder

    def informer(self, resource: GVR) -> Informer:
        """The scheduler's shared informer of a resource, synced before the first attempt. Only in `setup`."""
        ...

    def happened(self, event: ClusterEvent, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Tell the queue of an event seen through an informer of the plugin's own."""
        ...

    def allow(self, plugin: str, pod_key: str) -> None:
        """Let a pod go on that `plugin`'s `permit` made wait."""
        ...

    def reject(self, plugin: str, pod_key: str, reason: str) -> None:
        """Refuse a pod that `plugin`'s `permit` made wait."""
        ...


class Setup(Protocol):
    """Optional: called once, before anything is scheduled."""

    def setup(self, handle: Handle) -> None: ...


class EnqueueExtensions(Protocol):
    """Optional for plugins that refuse."""

    def events_to_register(self) -> Sequence[EventWithHint]: ...


class PreEnqueue(Protocol):
    def pre_enqueue(self, pod: PodInfo) -> str | None:
        """None to let the pod into the active queue, or why not. Fast and free of side effects."""
        ...


class QueueSort(Protocol):
    def sort_key(self, pod: PodInfo, queued_at: float) -> Any:
        """What to order by: the pod with the smallest key is tried first. `queued_at` is the time in
        seconds when the pod entered the queue."""
        ...


class PreFilter(Protocol):
    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> Skip | Refusal | frozenset[str] | None:
        """None: go on. SKIP: don't ask my `filter`. A Refusal: no node will do. A set of names: only
        these nodes can be right."""
        ...


class Filter(Protocol):
    def filter(self, pod: PodInfo, nodes: NodeTable) -> BoolArray:
        """Which rows can take the pod."""
        ...

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: RowArray) -> Sequence[Refusal]:
        """Why `filter` refused `rows`: every one of them under one or more reasons. Called only when no node
        could be found, in the same attempt."""
        ...


class PostFilter(Protocol):
    def post_filter(
        self, pod: PodInfo, nodes: NodeTable, refusals: Sequence[tuple[str, Refusal]]
    ) -> PostFilterResult | None:
        """No node was left; `refusals` are (plugin name, refusal). The first plugin that nominates a node
        ends the round."""
        ...


class PreScore(Protocol):
    def pre_score(self, pod: PodInfo, nodes: NodeTable, feasible: RowArray) -> Skip | None:
        """Prepare; or SKIP."""
        ...


class Score(Protocol):
    weight: int
    """How much this plugin's 0..100 counts; the composer may set another."""

    def score(self, pod: PodInfo, nodes: NodeTable) -> IntArray | int:
        """How good each row is: 0..100, or anything from which `normalize` makes that. A plain int 0..100
        when every row gets the same (it isn't normalized): that costs next to nothing."""
        ...


class NormalizeScore(Protocol):
    def normalize(self, pod: PodInfo, nodes: NodeTable, scores: IntArray, feasible: RowArray) -> IntArray:
        """Bring this plugin's scores to 0..100, judging by the feasible rows only."""
        ...


class Reserve(Protocol):
    def reserve(self, pod: PodInfo, node: str) -> Refusal | None:
        """Keep in memory what the pod will use on `node`."""
        ...

    def unreserve(self, pod: PodInfo, node: str) -> None:
        """Give it back. Must not fail, and may be called without `reserve` having been."""
        ...


class Permit(Protocol):
    def permit(self, pod: PodInfo, node: str) -> Refusal | Wait | None:
        """Go on, refuse, or wait."""
        ...


class PreBind(Protocol):
    async def pre_bind(self, pod: PodInfo, node: str) -> None:
        """Do what must be done before the pod is bound (provision a volume). Raise to give up."""
        ...


class Bind(Protocol):
    async def bind(self, pod: PodInfo, node: str) -> bool:
        """Bind the pod and answer True, or False to leave it to the next plugin. Raise when it fails."""
        ...


class PostBind(Protocol):
    def post_bind(self, pod: PodInfo, node: str) -> None:
        """The pod is bound: clean up, tell."""
        ...


__all__ = [
    "MAX_NODE_SCORE",
    "SKIP",
    "Action",
    "Bind",
    "ClusterEvent",
    "EnqueueExtensions",
    "EventWithHint",
    "Filter",
    "Handle",
    "Hint",
    "NormalizeScore",
    "Permit",
    "Plugin",
    "PostBind",
    "PostFilter",
    "PostFilterResult",
    "PreBind",
    "PreEnqueue",
    "PreFilter",
    "PreScore",
    "QueueSort",
    "Refusal",
    "Reserve",
    "Score",
    "Setup",
    "Skip",
    "Wait",
]
