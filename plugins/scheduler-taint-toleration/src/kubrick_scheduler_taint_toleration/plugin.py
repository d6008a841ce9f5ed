"""Filter by NoSchedule and NoExecute taints, score by PreferNoSchedule ones.

Nodes share few distinct sets of taints, so each set is judged once per set of tolerations and the answers
are looked up for all nodes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import (
    MAX_NODE_SCORE,
    SKIP,
    Action,
    ClusterEvent,
    EventWithHint,
    NodeTable,
    PodInfo,
    Refusal,
    Skip,
)
from kubrick_scheduler.pod import Taint, Toleration, tolerated
from kubrick_scheduler.scoring import normalize

REASON = "node(s) had untolerated taint(s)"
HARD = ("NoSchedule", "NoExecute")
SOFT = "PreferNoSchedule"
KEPT = 64

Object = dict[str, Any]
Tolerations = tuple[Toleration, ...]
Taints = tuple[Taint, ...]


def untolerated(taints: Taints, tolerations: Tolerations) -> Taint | None:
    """The first taint that keeps the pod off."""
    return next((t for t in taints if t.effect in HARD and not tolerated(t, tolerations)), None)


def disliked(taints: Taints, tolerations: Tolerations) -> int:
    """How many PreferNoSchedule taints the pod doesn't tolerate."""
    soft = tuple(t for t in tolerations if t.effect in ("", SOFT))
    return sum(1 for t in taints if t.effect == SOFT and not tolerated(t, soft))


class _Lookup:
    """Answers per distinct set of taints, by tolerations; thrown away when the sets change."""

    def __init__(self, judge: Callable[[Taints, Tolerations], int]) -> None:
        self._judge = judge
        self._dictionary: object = None
        self._version = -1
        self._answers: dict[Tolerations, NDArray[np.int64]] = {}

    def by_number(self, nodes: NodeTable, tolerations: Tolerations) -> NDArray[np.int64]:
        dictionary = nodes.taints.dictionary
        if self._dictionary is not dictionary or self._version != dictionary.version or len(self._answers) > KEPT:
            self._dictionary, self._version = dictionary, dictionary.version
            self._answers.clear()
        answers = self._answers.get(tolerations)
        if answers is None:
            values = (self._judge(taints or (), tolerations) for taints in dictionary.values)
            answers = self._answers[tolerations] = np.fromiter(values, np.int64, len(dictionary))
        return answers


class TaintToleration:
    name = "TaintToleration"
    weight = 3

    def __init__(self) -> None:
        self._fits = _Lookup(lambda taints, tolerations: untolerated(taints, tolerations) is None)
        self._dislikes = _Lookup(disliked)

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> Skip | None:
        return None if nodes.any_tainted else SKIP

    def filter(self, pod: PodInfo, nodes: NodeTable) -> NDArray[np.bool_]:
        return self._fits.by_number(nodes, pod.tolerations).astype(np.bool_)[nodes.taint_numbers]

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: NDArray[np.intp]) -> Sequence[Refusal]:
        def first(row: int) -> Taint | None:
            return untolerated(nodes.taints.at(row), pod.tolerations)

        def detail(row: int) -> str:
            taint = first(row)
            return f"untolerated taint {{{taint.key}: {taint.value}}} ({taint.effect})" if taint else ""

        taint = first(int(rows[0]))
        change = f"tolerate {taint.key}={taint.value}:{taint.effect}" if taint else ""
        return (Refusal(REASON, rows, unresolvable=True, detail=detail, change=change),)

    def score(self, pod: PodInfo, nodes: NodeTable) -> NDArray[np.int64] | int:
        if not nodes.any_tainted:
            return MAX_NODE_SCORE
        return self._dislikes.by_number(nodes, pod.tolerations)[nodes.taint_numbers]

    def normalize(
        self, pod: PodInfo, nodes: NodeTable, scores: NDArray[np.int64], feasible: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        return normalize(scores, feasible, reverse=True)

    def events_to_register(self) -> Sequence[EventWithHint]:
        return (
            EventWithHint(ClusterEvent("Node", Action.ADD | Action.UPDATE_NODE_TAINT), _opened),
            EventWithHint(ClusterEvent("Pod", Action.UPDATE_POD_TOLERATION), _is_itself),
        )


def _taints(node: Object) -> Taints:
    return tuple(Taint.of(taint) for taint in (node.get("spec") or {}).get("taints") or ())


def _opened(pod: PodInfo, old: Object | None, new: Object | None) -> bool:
    """Whether the pod tolerates the node's taints now and didn't before."""
    was_open = old is not None and untolerated(_taints(old), pod.tolerations) is None
    return new is not None and not was_open and untolerated(_taints(new), pod.tolerations) is None


def _is_itself(pod: PodInfo, old: Object | None, new: Object | None) -> bool:
    return new is not None and new["metadata"].get("uid", "") == pod.uid
