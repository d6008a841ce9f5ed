"""Bringing scores to 0..100, as kube-scheduler's DefaultNormalizeScore does."""

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler.contract import MAX_NODE_SCORE

IntArray = NDArray[np.int64]
RowArray = NDArray[np.intp]


def normalize(scores: IntArray, feasible: RowArray, *, reverse: bool = False) -> IntArray:
    """Scale so that the best feasible row gets 100 (`reverse`: that row gets 0, a row with 0 gets 100). When
    all are 0 they stay 0, or become 100."""
    best = int(scores[feasible].max()) if len(feasible) else 0
    if best == 0:
        return np.full_like(scores, MAX_NODE_SCORE) if reverse else scores
    scaled: IntArray = scores * MAX_NODE_SCORE // best
    return MAX_NODE_SCORE - scaled if reverse else scaled
