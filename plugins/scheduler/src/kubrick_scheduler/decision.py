"""What one attempt decided and why: the record behind the events users see, and more than they say.

For a scheduled pod: how many nodes could take it and what each plugin gave the chosen one. For one that
found no node: which plugin refused which nodes for which reason, in numbers, and the smallest change that
would have let it fit as far as each reason goes.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from kubrick_scheduler.contract import PostFilterResult, Refusal

NO_NODES = "no nodes available to schedule pods"
DETAILED_NODES = 50
"""Of so many nodes per reason a decision keeps the details."""


@frozen
class RefusedNode:
    node: str
    detail: str


@frozen
class Refused:
    """One reason of one plugin, and the nodes it holds for."""

    plugin: str
    reason: str
    count: int
    nodes: tuple[RefusedNode, ...]
    """At most `DETAILED_NODES` of them."""
    change: str
    """The smallest change that would turn this reason; "" when the plugin can't say."""

    def __str__(self) -> str:
        change = f"; {self.change}" if self.change else ""
        return f"{self.plugin}: {self.count} {self.reason}{change}"


@frozen
class PluginScore:
    """What one plugin gave the chosen node (0..100, after normalizing) and how much it counts."""

    plugin: str
    score: int
    weight: int


@define(eq=False)
class Decision:
    """One attempt. `node` is "" when none was found; then `message` says why, as Kubernetes words it."""

    pod: str
    uid: str
    nodes: int
    """How many nodes there were."""
    node: str = ""
    feasible: int = 0
    """How many could take the pod."""
    ties: int = 0
    """How many of those were equally good (one was drawn)."""
    scores: tuple[PluginScore, ...] = ()
    """Empty when a single node was left: nothing is scored then."""
    refused_by: dict[str, int] = field(factory=dict)
    """How many nodes each filter refused, of those the filters before it had let through. Only for pods
    that found no node."""
    refusals: tuple[Refused, ...] = ()
    rejectors: frozenset[str] = frozenset()
    """The plugins whose events may make another attempt worth while."""
    message: str = ""
    post_filter: PostFilterResult | None = None
    error: bool = False
    """Whether the attempt failed for a reason that is nobody's refusal (a plugin raised, the API failed)."""
    attempt: int = 0
    time: float = 0.0
    """When, in seconds since the epoch."""

    @property
    def total(self) -> int:
        return sum(score.score * score.weight for score in self.scores)

    def explain(self) -> str:
        """The decision in a few lines for people."""
        if self.node:
            could = f"{self.feasible} of {self.nodes} nodes could take it, {self.ties} equally good"
            lines = [f"{self.pod} → {self.node}: {could}"]
            lines += [f"  {s.plugin}: {s.score} × {s.weight}" for s in self.scores]
            return "\n".join(lines)
        lines = [f"{self.pod}: {self.message}"]
        for refused in self.refusals:
            lines.append(f"  {refused}")
            lines += [f"    {node.node}: {node.detail}" for node in refused.nodes if node.detail]
        return "\n".join(lines)


def fit_message(nodes: int, refusals: Sequence[tuple[str, int]], early: str = "", post_filter: str = "") -> str:
    """The text of FailedScheduling and of the PodScheduled condition. `refusals` are (reason, how many
    nodes); `early` is what a PreFilter plugin said instead."""
    message = f"0/{nodes} nodes are available:"
    if early:
        message += f" {early}."
    else:
        counts: dict[str, int] = {}
        for reason, count in refusals:
            counts[reason] = counts.get(reason, 0) + count
        reasons = sorted(f"{count} {reason}" for reason, count in counts.items())
        if reasons:
            message += f" {', '.join(reasons)}."
    if post_filter:
        message += f" {post_filter}"
    return message


def refused(plugin: str, refusal: Refusal, rows: Sequence[int], names: Sequence[str]) -> Refused:
    """A plugin's refusal as it is kept."""
    nodes = tuple(
        RefusedNode(name, refusal.detail(row) if refusal.detail is not None else "")
        for row, name in zip(rows[:DETAILED_NODES], names, strict=False)
    )
    return Refused(plugin, refusal.reason, len(rows), nodes, refusal.change)


class Decisions:
    """The last so many decisions (`Kernel.offer(Decisions, ...)`): a bounded ring, and the last decision per
    pod in it."""

    def __init__(self, limit: int = 1000) -> None:
        self._ring: deque[Decision] = deque()
        self._last: dict[str, Decision] = {}
        self.limit = limit

    def add(self, decision: Decision) -> None:
        if len(self._ring) >= self.limit:
            oldest = self._ring.popleft()
            if self._last.get(oldest.pod) is oldest:
                del self._last[oldest.pod]
        self._ring.append(decision)
        self._last[decision.pod] = decision

    def of(self, pod: str) -> Decision | None:
        """The last decision about a pod ("namespace/name"), if it is still remembered."""
        return self._last.get(pod)

    def __iter__(self) -> Iterator[Decision]:
        """From the oldest to the newest."""
        return iter(tuple(self._ring))

    def __len__(self) -> int:
        return len(self._ring)
