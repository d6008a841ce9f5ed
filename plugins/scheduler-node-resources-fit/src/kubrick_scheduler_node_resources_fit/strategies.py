"""How full is good: the three scoring strategies, on whole columns, in kube-scheduler's integer arithmetic.

Each takes, per resource, what would be requested with the pod on the node and what the node has to give
(0: the node hasn't got it, and it doesn't count), and gives 0..100 per row.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import MAX_NODE_SCORE
from kubrick_scheduler_node_resources_fit.settings import Settings, ShapePoint

IntArray = NDArray[np.int64]
Columns = Sequence[tuple[IntArray, IntArray, int]]
"""(requested, allocatable, weight) per resource"""
Strategy = Callable[[Columns], IntArray]

MAX_SHAPE_SCORE = 10


def least(requested: IntArray, allocatable: IntArray) -> IntArray:
    """The free part of a resource in per cent; 0 when it is overdrawn."""
    free = np.maximum(allocatable - requested, 0)
    scores: IntArray = free * MAX_NODE_SCORE // np.maximum(allocatable, 1)
    return scores


def most(requested: IntArray, allocatable: IntArray) -> IntArray:
    """The used part of a resource in per cent."""
    scores: IntArray = np.minimum(requested, allocatable) * MAX_NODE_SCORE // np.maximum(allocatable, 1)
    return scores


def least_allocated(columns: Columns) -> IntArray:
    return _weighted(columns, least)


def most_allocated(columns: Columns) -> IntArray:
    return _weighted(columns, most)


def _weighted(columns: Columns, rate: Callable[[IntArray, IntArray], IntArray]) -> IntArray:
    total: IntArray | None = None
    weights: IntArray | None = None
    for requested, allocatable, weight in columns:
        weighing = (allocatable != 0) * np.int64(weight)
        scores = rate(requested, allocatable) * weighing
        total = scores if total is None else total + scores
        weights = weighing if weights is None else weights + weighing
    assert total is not None
    assert weights is not None
    result: IntArray = total // np.maximum(weights, 1)
    return result


def requested_to_capacity_ratio(shape: Sequence[ShapePoint]) -> Strategy:
    """A broken line through the shape's points; a resource that scores 0 doesn't count, and the mean is
    rounded (half up), both as upstream."""
    by_percent = np.array([_on_line(shape, percent) for percent in range(101)], np.int64)

    def score(columns: Columns) -> IntArray:
        size = len(columns[0][0])
        total, weights = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for requested, allocatable, weight in columns:
            percent = np.where(
                (allocatable == 0) | (requested > allocatable),
                100,
                np.minimum(requested, allocatable) * 100 // np.maximum(allocatable, 1),
            )
            scores = by_percent[percent]
            counts = (scores > 0) & (allocatable != 0)
            total += np.where(counts, scores * weight, 0)
            weights += counts * np.int64(weight)
        return np.floor(total / np.maximum(weights, 1) + 0.5).astype(np.int64)

    return score


def _on_line(shape: Sequence[ShapePoint], percent: int) -> int:
    scale = MAX_NODE_SCORE // MAX_SHAPE_SCORE
    before: ShapePoint | None = None
    for point in shape:
        if percent <= point.utilization:
            if before is None:
                return point.score * scale
            rise, run = (point.score - before.score) * scale, point.utilization - before.utilization
            # Towards zero, as Go divides.
            return before.score * scale + int(rise * (percent - before.utilization) / run)
        before = point
    assert before is not None
    return before.score * scale


def strategy(settings: Settings) -> Strategy:
    if settings.scoring_strategy == "LeastAllocated":
        return least_allocated
    if settings.scoring_strategy == "MostAllocated":
        return most_allocated
    return requested_to_capacity_ratio(settings.shape)
