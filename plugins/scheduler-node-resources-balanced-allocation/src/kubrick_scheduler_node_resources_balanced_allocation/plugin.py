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
FloatArray = NDArray[np.float64]
Columns = Sequence[tuple[IntArray, IntArray]]
"""(requested, allocatable) per resource; 0 allocatable: the node hasn't got it, and it doesn't count"""


def balance(columns: Columns) -> IntArray:
    """100 for perfect balance, down to 50."""
    deviation = _of_two(*columns) if len(columns) == 2 else _deviation(columns)
    return ((1 - deviation) * MAX_NODE_SCORE).astype(np.int64)


def _fraction(column: tuple[IntArray, IntArray]) -> FloatArray:
    used, allocatable = column
    fraction: FloatArray = np.minimum(used / np.maximum(allocatable, 1), 1.0)
    return fraction


def _of_two(one: tuple[IntArray, IntArray], other: tuple[IntArray, IntArray]) -> FloatArray:
    """Half the difference: what kube-scheduler computes for two resources, to the last bit."""
    both = (one[1] != 0) & (other[1] != 0)
    deviation: FloatArray = np.abs(_fraction(one) - _fraction(other)) / 2 * both
    return deviation


def _deviation(columns: Columns) -> FloatArray:
    """For any number of resources, of which a node may lack some."""
    has = np.array([allocatable != 0 for _, allocatable in columns])
    fractions = np.array([_fraction(column) for column in columns])
    many = has.sum(axis=0)
    highest, lowest = (
        fractions.max(axis=0, initial=0.0, where=has),
        fractions.min(axis=0, initial=1.0, where=has),
    )
    mean = np.where(has, fractions, 0.0).sum(axis=0) / np.maximum(many, 1)
    variance = (np.where(has, fractions - mean, 0.0) ** 2).sum(axis=0) / np.maximum(many, 1)
    of_two = np.where(many == 2, (highest - lowest) / 2, 0.0)
    deviation: FloatArray = np.where(many > 2, np.sqrt(variance), of_two)
    return deviation


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
