"""For authors who would rather look at one node at a time.

    @per_node_filter("GpuFree")
    def gpu_free(pod, node):
        if node["metadata"]["labels"].get("gpu") != "free":
            return "node(s) had no free GPU"

makes a Filter plugin of a plain function of (pod, node), both as JSON-shaped dicts; `per_node_score` makes
a Score plugin of one that returns a number 0..100. Plain Python per node costs about a microsecond a
node and pod: fine for hundreds of nodes, not for thousands of pods a second on thousands of nodes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from kubrick_scheduler.contract import EventWithHint, Refusal
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.table import NodeTable

Object = dict[str, Any]
Judge = Callable[[Object, Object], str | None]
"""(pod, node) → None when the node will do, else the reason users read ("node(s) had ...")."""
Rate = Callable[[Object, Object], int]
"""(pod, node) → 0..100"""


@define(eq=False)
class PerNodeFilter:
    """A Filter plugin made of a function per node."""

    name: str
    judge: Judge
    events: Sequence[EventWithHint] | None = None

    def filter(self, pod: PodInfo, nodes: NodeTable) -> NDArray[np.bool_]:
        mask = np.zeros(nodes.size, np.bool_)
        for name in nodes:
            row = nodes.row(name)
            mask[row] = self.judge(pod.object, nodes.node(row)) is None
        return mask

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: NDArray[np.intp]) -> Sequence[Refusal]:
        by_reason: dict[str, list[int]] = {}
        for row in rows.tolist():
            reason = self.judge(pod.object, nodes.node(row)) or f"node(s) were refused by {self.name}"
            by_reason.setdefault(reason, []).append(row)
        return [Refusal(reason, np.array(found, np.intp)) for reason, found in by_reason.items()]

    def events_to_register(self) -> Sequence[EventWithHint]:
        from kubrick_scheduler.events import WILDCARD

        return self.events if self.events is not None else (EventWithHint(WILDCARD),)


@define(eq=False)
class PerNodeScore:
    """A Score plugin made of a function per node."""

    name: str
    rate: Rate
    weight: int = field(default=1)

    def score(self, pod: PodInfo, nodes: NodeTable) -> NDArray[np.int64]:
        scores = np.zeros(nodes.size, np.int64)
        for name in nodes:
            row = nodes.row(name)
            scores[row] = self.rate(pod.object, nodes.node(row))
        return scores


def per_node_filter(name: str, events: Sequence[EventWithHint] | None = None) -> Callable[[Judge], PerNodeFilter]:
    """Decorate a judge. `events`: what may turn its refusals; anything, when not given."""
    return lambda judge: PerNodeFilter(name, judge, events)


def per_node_score(name: str, weight: int = 1) -> Callable[[Rate], PerNodeScore]:
    """Decorate a rate function."""
    return lambda rate: PerNodeScore(name, rate, weight)
