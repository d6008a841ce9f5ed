"""Filter by ``spec.unschedulable``, unless the pod tolerates node.kubernetes.io/unschedulable:NoSchedule."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import SKIP, Action, ClusterEvent, EventWithHint, NodeTable, PodInfo, Refusal, Skip
from kubrick_scheduler.pod import Taint, tolerated

REASON = "node(s) were unschedulable"
TAINT = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")

Object = dict[str, Any]


class NodeUnschedulable:
    name = "NodeUnschedulable"

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> Skip | None:
        if nodes.any_unschedulable and not tolerated(TAINT, pod.tolerations):
            return None
        return SKIP

    def filter(self, pod: PodInfo, nodes: NodeTable) -> NDArray[np.bool_]:
        return ~nodes.unschedulable

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: NDArray[np.intp]) -> Sequence[Refusal]:
        change = f"uncordon {nodes.name(int(rows[0]))}, or tolerate {TAINT.key}:{TAINT.effect}"
        return (Refusal(REASON, rows, unresolvable=True, change=change),)

    def events_to_register(self) -> Sequence[EventWithHint]:
        return (
            EventWithHint(ClusterEvent("Node", Action.ADD | Action.UPDATE_NODE_TAINT), _uncordoned),
            EventWithHint(ClusterEvent("Pod", Action.UPDATE_POD_TOLERATION), _now_tolerates),
        )


def _uncordoned(pod: PodInfo, old: Object | None, new: Object | None) -> bool:
    """Whether the node can take pods now and could not before."""
    was_open = old is not None and not (old.get("spec") or {}).get("unschedulable")
    return new is not None and not was_open and not (new.get("spec") or {}).get("unschedulable")


def _now_tolerates(pod: PodInfo, old: Object | None, new: Object | None) -> bool:
    return new is not None and new["metadata"].get("uid", "") == pod.uid and tolerated(TAINT, PodInfo(new).tolerations)
