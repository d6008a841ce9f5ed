"""Filter by free resources, score by the configured strategy.

A node's answer depends on its row and the pod's requests only, so both are kept per requests and redone
for rows that changed (`kubrick_scheduler.memo`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import Action, ClusterEvent, EventWithHint, NodeTable, PodInfo, Refusal
from kubrick_scheduler.memo import RowMemo, Rows
from kubrick_scheduler.requests import CPU, MEMORY, NATIVE, PODS, amounts, is_extended, is_scalar
from kubrick_scheduler_node_resources_fit.settings import Settings
from kubrick_scheduler_node_resources_fit.strategies import strategy

TOO_MANY_PODS = "Too many pods"

Object = dict[str, Any]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


def insufficient(resource: str) -> str:
    """The reason users read."""
    return f"Insufficient {resource}"


def spelled(resource: str, amount: int) -> str:
    """An amount for people: 1500m, 2Gi."""
    if resource == CPU:
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    for power, suffix in ((3, "Gi"), (2, "Mi"), (1, "Ki")):
        if amount and amount % 1024**power == 0:
            return f"{amount // 1024**power}{suffix}"
    return str(amount)


class NodeResourcesFit:
    name = "NodeResourcesFit"
    weight = 1

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._strategy = strategy(settings)
        self._masks: RowMemo[np.bool_] = RowMemo()
        self._scores: RowMemo[np.int64] = RowMemo()

    def wanted(self, pod: PodInfo) -> list[tuple[str, int]]:
        """The (resource, amount) pairs that a node must have free, native ones first."""
        requests = pod.requests
        found = [(name, requests[name]) for name in NATIVE[:3] if requests.get(name)]
        found += sorted((n, q) for n, q in requests.items() if q and n not in NATIVE and not self._ignored(n))
        return found

    def _ignored(self, resource: str) -> bool:
        if not is_extended(resource):
            return False
        settings = self._settings
        return resource in settings.ignored_resources or resource.split("/")[0] in settings.ignored_resource_groups

    def filter(self, pod: PodInfo, nodes: NodeTable) -> BoolArray:
        wanted = self.wanted(pod)
        return self._masks.get(nodes, tuple(wanted), partial(_fits, nodes, wanted))

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: NDArray[np.intp]) -> Sequence[Refusal]:
        refusals = []
        for resource, amount in ((PODS, 1), *self.wanted(pod)):
            allocatable, requested = nodes.allocatable(resource), nodes.requested(resource)
            lacks = rows[amount > (allocatable - requested)[rows]]
            if not len(lacks):
                continue
            never = amount > allocatable[lacks]
            closest = int(lacks[np.argmax((allocatable - requested)[lacks])])
            free = max(int(allocatable[closest] - requested[closest]), 0)
            refusals.append(
                Refusal(
                    TOO_MANY_PODS if resource == PODS else insufficient(resource),
                    lacks,
                    unresolvable=False if resource == PODS else never,
                    detail=partial(_detail, resource, amount, nodes),
                    change=f"{nodes.name(closest)} would do with {spelled(resource, amount - free)} more {resource}",
                )
            )
        return refusals

    def score(self, pod: PodInfo, nodes: NodeTable) -> IntArray:
        cpu, memory = pod.scoring_requests
        wanted: list[tuple[str, int, int]] = []
        for spec in self._settings.resources:
            if spec.name in (CPU, MEMORY):
                wanted.append((spec.name, cpu if spec.name == CPU else memory, spec.weight))
            elif pod.requests.get(spec.name) or not is_scalar(spec.name):
                wanted.append((spec.name, pod.requests.get(spec.name, 0), spec.weight))
        if not wanted:
            return np.zeros(nodes.size, np.int64)
        return self._scores.get(nodes, tuple(wanted), partial(self._rate, nodes, wanted))

    def _rate(self, nodes: NodeTable, wanted: Sequence[tuple[str, int, int]], rows: Rows) -> IntArray:
        columns = []
        for resource, amount, weight in wanted:
            used = nodes.scoring_requested(resource) if resource in (CPU, MEMORY) else nodes.requested(resource)
            columns.append((used[rows] + amount, nodes.allocatable(resource)[rows], weight))
        return self._strategy(columns)

    def events_to_register(self) -> Sequence[EventWithHint]:
        return (
            EventWithHint(ClusterEvent("Pod", Action.DELETE | Action.UPDATE_POD_SCALE_DOWN), self._pod_gave_way),
            EventWithHint(ClusterEvent("Node", Action.ADD | Action.UPDATE_NODE_ALLOCATABLE), self._node_grew),
        )

    def _pod_gave_way(self, pod: PodInfo, old: Object | None, new: Object | None) -> bool:
        if new is None or old is None or new["metadata"].get("uid", "") == pod.uid:
            return True
        before, after = PodInfo(old).requests, PodInfo(new).requests
        return any(before.get(name, 0) > after.get(name, 0) for name, _ in self.wanted(pod))

    def _node_grew(self, pod: PodInfo, old: Object | None, new: Object | None) -> bool:
        """Whether the pod would fit the node if it were empty, and something it needs has grown."""
        if new is None:
            return False
        after = _allocatable(new)
        wanted = ((PODS, 1), *self.wanted(pod))
        if any(amount > after.get(name, 0) for name, amount in wanted):
            return False
        if old is None:
            return True
        before = _allocatable(old)
        return any(after.get(name, 0) > before.get(name, 0) for name, _ in wanted)


def _fits(nodes: NodeTable, wanted: Sequence[tuple[str, int]], rows: Rows) -> BoolArray:
    mask: BoolArray = nodes.requested(PODS)[rows] < nodes.allocatable(PODS)[rows]
    for resource, amount in wanted:
        mask &= nodes.allocatable(resource)[rows] - nodes.requested(resource)[rows] >= amount
    return mask


def _detail(resource: str, amount: int, nodes: NodeTable, row: int) -> str:
    allocatable, requested = int(nodes.allocatable(resource)[row]), int(nodes.requested(resource)[row])
    if resource == PODS:
        return f"{requested} pods of at most {allocatable}"
    asked, used, total = (spelled(resource, n) for n in (amount, requested, allocatable))
    return f"{resource}: asks for {asked}, {used} of {total} are requested already"


def _allocatable(node: Object) -> dict[str, int]:
    return amounts((node.get("status") or {}).get("allocatable"))
