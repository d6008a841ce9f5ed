"""Score by the change a pod makes to a node's balance.

A node's balance is 100 × (1 - standard deviation of its resources' used fractions), at least 50. The
score maps what the pod does to it onto 50..100: 75 when nothing changes, more when use gets more even
(Kubernetes 1.36; before, the balance with the pod was the score). Pods that request none of the resources are
not scored, or they would all land on one node.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import MAX_NODE_SCORE, SKIP, NodeTable, PodInfo, Skip
from kubrick_scheduler.memo import RowMemo, Rows
from kubrick_scheduler.requests import is_scalar
from kubrick_scheduler_node_resources_balanced_allocation.settings import Settings

IntArray = NDArray[np.int64]
Columns = Sequence[tuple[IntArray, IntArray]]
"""(requested, allocatable) per resource; 0 allocatable: the node hasn't got it, and it doesn't count"""


def balance(columns: Columns) -> IntArray:
    """100 for perfect balance, down to 50."""
    has = np.array([allocatable != 0 for _, allocatable in columns])
    fractions = np.array([np.minimum(used / np.maximum(allocatable, 1), 1.0) for used, allocatable in columns])
    fractions[~has] = 0.0
    many = has.sum(axis=0)
    # For two resources this is their standard deviation, and exactly what kube-scheduler computes for them.
    highest = fractions.max(axis=0, initial=0.0, where=has)
    spread = (highest - fractions.min(axis=0, initial=1.0, where=has)) / 2
    deviation = np.where(many == 2, np.abs(spread), 0.0)
    if len(columns) > 2:
        mean = fractions.sum(axis=0) / np.maximum(many, 1)
        variance = (np.where(has, fractions - mean, 0.0) ** 2).sum(axis=0) / np.maximum(many, 1)
        deviation = np.where(many > 2, np.sqrt(variance), deviation)
    return ((1 - deviation) * MAX_NODE_SCORE).astype(np.int64)


def rate(before: Columns, after: Columns) -> IntArray:
    """50..100 for what the pod changes."""
    half = MAX_NODE_SCORE // 2
    scores: IntArray = half + (half + balance(after) - balance(before)) // 2
    return scores


class NodeResourcesBalancedAllocation:
    name = "NodeResourcesBalancedAllocation"
    weight = 1

    def __init__(self, settings: Settings) -> None:
        self._resources = tuple(spec.name for spec in settings.resources)
        self._scores: RowMemo[np.int64] = RowMemo()

    def pre_score(self, pod: PodInfo, nodes: NodeTable, feasible: NDArray[np.intp]) -> Skip | None:
        return None if any(pod.requests.get(name) for name in self._resources) else SKIP

    def score(self, pod: PodInfo, nodes: NodeTable) -> IntArray:
        requests = pod.requests
        wanted = tuple(
            (name, requests.get(name, 0)) for name in self._resources if requests.get(name) or not is_scalar(name)
        )
        return self._scores.get(nodes, wanted, partial(_rate, nodes, wanted))


def _rate(nodes: NodeTable, wanted: Sequence[tuple[str, int]], rows: Rows) -> IntArray:
    before = [(nodes.requested(name)[rows], nodes.allocatable(name)[rows]) for name, _ in wanted]
    after = [(used + amount, total) for (used, total), (_, amount) in zip(before, wanted, strict=True)]
    return rate(before, after)
