"""One scheduling attempt, decided purely: a pod and the node table in, a `Decision` out.

Every node is evaluated: kube-scheduler's sampling (percentageOfNodesToScore) saves it work per node, and
here a node costs next to nothing. Filters run in the profile's order, each over all nodes at once; as in
kube-scheduler a node is refused by the first filter that refuses it. Among the best nodes one is drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from kubrick_kernel.clock import Random
from kubrick_scheduler.contract import (
    MAX_NODE_SCORE,
    SKIP,
    EventWithHint,
    Filter,
    PostFilterResult,
    Refusal,
)
from kubrick_scheduler.decision import DETAILED_NODES, NO_NODES, Decision, PluginScore, Refused, fit_message, refused
from kubrick_scheduler.events import NODE_ADD, WILDCARD
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.table import NodeTable

BoolArray = NDArray[np.bool_]
RowArray = NDArray[np.intp]

FRAMEWORK = "Framework"
"""Refuses pods where no plugin can: there is no node at all."""

ORDER = (
    "SchedulingGates",
    "PrioritySort",
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
    "DynamicResources",
    "DefaultPreemption",
    "NodeResourcesBalancedAllocation",
    "ImageLocality",
    "DefaultBinder",
)
"""Kubernetes' default order; plugins it doesn't name come after these, by name."""


class BadPlugin(Exception):
    """A plugin broke the contract."""


def ordered(plugins: Sequence[Any]) -> list[Any]:
    """Plugins in the order in which every extension point asks them. DefaultBinder stays last."""
    ranks = {name: rank for rank, name in enumerate(ORDER[:-1])}
    last = ORDER[-1]
    return sorted(plugins, key=lambda p: (p.name == last, ranks.get(p.name, len(ORDER)), p.name))


def _taking_part(plugins: Sequence[Any], method: str) -> tuple[Any, ...]:
    return tuple(plugin for plugin in plugins if hasattr(plugin, method))


@frozen(eq=False)
class Framework:
    """The plugins of one profile, by extension point."""

    scheduler_name: str
    plugins: tuple[Any, ...]
    weights: dict[str, int] = field(factory=dict)
    pre_enqueue: tuple[Any, ...] = field(init=False)
    pre_filter: tuple[Any, ...] = field(init=False)
    filter: tuple[Any, ...] = field(init=False)
    post_filter: tuple[Any, ...] = field(init=False)
    pre_score: tuple[Any, ...] = field(init=False)
    score: tuple[tuple[Any, int, Any], ...] = field(init=False)
    """(plugin, weight, its normalize method or None)"""
    reserve: tuple[Any, ...] = field(init=False)
    permit: tuple[Any, ...] = field(init=False)
    pre_bind: tuple[Any, ...] = field(init=False)
    bind: tuple[Any, ...] = field(init=False)
    post_bind: tuple[Any, ...] = field(init=False)

    @classmethod
    def of(cls, scheduler_name: str, plugins: Sequence[Any], weights: dict[str, int] | None = None) -> "Framework":
        return cls(scheduler_name, tuple(ordered(plugins)), weights or {})

    def __attrs_post_init__(self) -> None:
        points = ("pre_enqueue", "pre_filter", "filter", "post_filter", "pre_score", "reserve", "permit")
        for point in (*points, "pre_bind", "bind", "post_bind"):
            object.__setattr__(self, point, _taking_part(self.plugins, point))
        scorers = []
        for plugin in _taking_part(self.plugins, "score"):
            weight = self.weights.get(plugin.name, getattr(plugin, "weight", 1))
            if weight:
                scorers.append((plugin, weight, getattr(plugin, "normalize", None)))
        object.__setattr__(self, "score", tuple(scorers))

    def sort_key(self, pod: PodInfo, queued_at: float) -> Any:
        for plugin in self.plugins:
            if hasattr(plugin, "sort_key"):
                return plugin.sort_key(pod, queued_at)
        return (-pod.priority, queued_at)

    def events(self) -> dict[str, list[EventWithHint]]:
        """What each plugin wants to hear of; everything, for a plugin that doesn't say."""
        found = {FRAMEWORK: [EventWithHint(NODE_ADD)]}
        for plugin in self.plugins:
            register = getattr(plugin, "events_to_register", None)
            found[plugin.name] = list(register()) if register is not None else [EventWithHint(WILDCARD)]
        return found

    def gate(self, pod: PodInfo) -> tuple[str, str] | None:
        """(plugin, why) of the first plugin that keeps the pod out of the active queue."""
        for plugin in self.pre_enqueue:
            why = plugin.pre_enqueue(pod)
            if why is not None:
                return plugin.name, why
        return None


def decide(framework: Framework, pod: PodInfo, nodes: NodeTable, generator: Random) -> Decision:
    """Find a node for a pod. Changes nothing but `pod.state`."""
    pod.state = {}
    decision = Decision(pod.key, pod.uid, len(nodes))
    if not len(nodes):
        decision.message = NO_NODES
        decision.rejectors = frozenset((FRAMEWORK,))
        return decision
    alive, skipped, early = _pre_filter(framework, pod, nodes)
    if isinstance(early, _Early):
        return _refuse_early(framework, decision, pod, nodes, early)
    steps: list[tuple[Filter, BoolArray, BoolArray]] = []
    for plugin in framework.filter:
        if plugin.name not in skipped:
            before, alive = alive, alive & plugin.filter(pod, nodes)
            steps.append((plugin, before, alive))
    feasible = np.flatnonzero(alive)
    decision.feasible = len(feasible)
    if not len(feasible):
        return _refuse(framework, decision, pod, nodes, steps, early)
    if len(feasible) == 1:
        decision.ties = 1
        decision.node = nodes.name(int(feasible[0]))
        return decision
    _choose(framework, decision, pod, nodes, feasible, generator)
    return decision


@frozen(eq=False)
class _Early:
    """A PreFilter plugin ended the attempt."""

    plugins: tuple[str, ...]
    refusal: Refusal


@frozen(eq=False)
class _Restriction:
    """PreFilter plugins left only some nodes to look at."""

    plugins: tuple[str, ...]
    names: frozenset[str]


def _pre_filter(
    framework: Framework, pod: PodInfo, nodes: NodeTable
) -> tuple[BoolArray, set[str], _Early | _Restriction | None]:
    skipped: set[str] = set()
    limit: _Restriction | None = None
    for plugin in framework.pre_filter:
        answer = plugin.pre_filter(pod, nodes)
        if answer is None:
            continue
        if answer is SKIP:
            skipped.add(plugin.name)
            continue
        if isinstance(answer, Refusal):
            return nodes.valid, skipped, _Early((plugin.name,), answer)
        names = answer if limit is None else limit.names & answer
        plugins = (plugin.name,) if limit is None else (*limit.plugins, plugin.name)
        limit = _Restriction(plugins, names)
        if not names:
            text = f"node(s) didn't satisfy plugin(s) [{' '.join(plugins)}] simultaneously"
            if len(plugins) == 1:
                text = f"node(s) didn't satisfy plugin {plugins[0]}"
            return nodes.valid, skipped, _Early(plugins, Refusal(text, unresolvable=True))
    if limit is None:
        return nodes.valid, skipped, None
    alive = np.zeros(nodes.size, np.bool_)
    for name in limit.names:
        row = nodes.row(name)
        if row >= 0:
            alive[row] = True
    return alive, skipped, limit


def _choose(
    framework: Framework,
    decision: Decision,
    pod: PodInfo,
    nodes: NodeTable,
    feasible: RowArray,
    generator: Random,
) -> None:
    skipped = {p.name for p in framework.pre_score if p.pre_score(pod, nodes, feasible) is SKIP}
    total: NDArray[np.int64] | None = None
    parts: list[tuple[str, int, NDArray[np.int64] | int]] = []
    for plugin, weight, normalize in framework.score:
        if plugin.name in skipped:
            continue
        answer: NDArray[np.int64] | int = plugin.score(pod, nodes)
        parts.append((plugin.name, weight, answer))
        if isinstance(answer, int):
            continue
        scores = answer
        if normalize is not None:
            scores = normalize(pod, nodes, scores, feasible)
            parts[-1] = (plugin.name, weight, scores)
        weighted: NDArray[np.int64] = scores if weight == 1 else scores * weight
        total = weighted if total is None else total + weighted
    best = feasible
    if total is not None:
        candidates = total if len(feasible) == nodes.size else total[feasible]
        best = feasible[candidates == candidates.max()]
    row = int(best[generator.randrange(len(best))] if len(best) > 1 else best[0])
    decision.node = nodes.name(row)
    decision.ties = len(best)
    decision.scores = tuple(
        PluginScore(name, scores if isinstance(scores, int) else int(scores[row]), weight)
        for name, weight, scores in parts
    )
    for score in decision.scores:
        if not 0 <= score.score <= MAX_NODE_SCORE:
            raise BadPlugin(
                f"plugin {score.plugin!r} returns an invalid score {score.score}, "
                f"it should in the range of [0, {MAX_NODE_SCORE}] after normalizing"
            )


def _name(plugin: Any) -> str:
    return str(plugin.name)


def _refuse_early(framework: Framework, decision: Decision, pod: PodInfo, nodes: NodeTable, early: _Early) -> Decision:
    plugin = early.plugins[-1]
    decision.refusals = (_kept(plugin, early.refusal, np.flatnonzero(nodes.valid), nodes),)
    decision.refused_by = {plugin: len(nodes)}
    decision.rejectors = frozenset(early.plugins)
    decision.post_filter = _post_filter(framework, pod, nodes, [(plugin, early.refusal)])
    decision.message = fit_message(len(nodes), (), early.refusal.reason, _said(decision.post_filter))
    return decision


def _refuse(
    framework: Framework,
    decision: Decision,
    pod: PodInfo,
    nodes: NodeTable,
    steps: Sequence[tuple[Filter, BoolArray, BoolArray]],
    limit: _Restriction | None,
) -> Decision:
    """No node is left: ask each filter why it refused the nodes that had reached it."""
    found: list[tuple[str, Refusal]] = []
    if limit is not None:
        absent = nodes.valid.copy()
        absent[[row for name in limit.names if (row := nodes.row(name)) >= 0]] = False
        text = f"node(s) didn't satisfy plugin(s) [{' '.join(limit.plugins)}]"
        rows = np.flatnonzero(absent)
        if len(rows):
            found.append((limit.plugins[-1], Refusal(text, rows, unresolvable=True)))
    rejectors = set(limit.plugins if limit is not None else ())
    for plugin, before, after in steps:
        rows = np.flatnonzero(before & ~after)
        if len(rows):
            name = _name(plugin)
            rejectors.add(name)
            decision.refused_by[name] = len(rows)
            found += [(name, refusal) for refusal in plugin.explain(pod, nodes, rows)]
    decision.refusals = tuple(_kept(name, refusal, _rows(refusal, nodes), nodes) for name, refusal in found)
    decision.rejectors = frozenset(rejectors)
    decision.post_filter = _post_filter(framework, pod, nodes, found)
    counts = [(refusal.reason, len(_rows(refusal, nodes))) for _, refusal in found]
    decision.message = fit_message(len(nodes), counts, post_filter=_said(decision.post_filter))
    return decision


def _rows(refusal: Refusal, nodes: NodeTable) -> RowArray:
    return np.flatnonzero(nodes.valid) if refusal.rows is None else refusal.rows


def _kept(plugin: str, refusal: Refusal, rows: RowArray, nodes: NodeTable) -> Refused:
    numbers = rows.tolist()
    return refused(plugin, refusal, numbers, [nodes.name(row) for row in numbers[:DETAILED_NODES]])


def _post_filter(
    framework: Framework, pod: PodInfo, nodes: NodeTable, found: Sequence[tuple[str, Refusal]]
) -> PostFilterResult | None:
    """The first result that nominates a node; else what all plugins said, joined."""
    said = []
    for plugin in framework.post_filter:
        result: PostFilterResult | None = plugin.post_filter(pod, nodes, found)
        if result is None:
            continue
        if result.nominated_node:
            return result
        said.append(result.message)
    return PostFilterResult(", ".join(text for text in said if text)) if said else None


def _said(result: PostFilterResult | None) -> str:
    return result.message if result is not None else ""
