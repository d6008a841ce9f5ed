"""Filter by ``spec.nodeName``. Pods in the queue have none, so this matters only to pods that get one
while they are being tried, and to simulations."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import SKIP, Action, ClusterEvent, EventWithHint, NodeTable, PodInfo, Refusal, Skip

REASON = "node(s) didn't match the requested node name"


class NodeName:
    name = "NodeName"

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> Skip | None:
        return None if pod.node_name else SKIP

    def filter(self, pod: PodInfo, nodes: NodeTable) -> NDArray[np.bool_]:
        mask = np.zeros(nodes.size, np.bool_)
        row = nodes.row(pod.node_name)
        if row >= 0:
            mask[row] = True
        return mask

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: NDArray[np.intp]) -> Sequence[Refusal]:
        return (Refusal(REASON, rows, unresolvable=True, change=f"a node named {pod.node_name!r} would be needed"),)

    def events_to_register(self) -> Sequence[EventWithHint]:
        return (EventWithHint(ClusterEvent("Node", Action.ADD)),)
