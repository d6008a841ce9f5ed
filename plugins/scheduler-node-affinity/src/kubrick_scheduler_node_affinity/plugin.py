"""Filter by required node affinity and node selector, score by preferred node affinity."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from kubrick_scheduler import SKIP, Action, ClusterEvent, EventWithHint, NodeTable, PodInfo, Refusal, Skip
from kubrick_scheduler.scoring import normalize
from kubrick_scheduler_node_affinity.selectors import (
    NAME_FIELD,
    Term,
    any_mask,
    from_labels,
    term,
    term_holds,
    term_mask,
    terms,
)
from kubrick_scheduler_node_affinity.settings import Settings

REASON_POD = "node(s) didn't match Pod's node affinity/selector"
REASON_ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
REASON_CONFLICT = "pod affinity terms conflict"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Object = dict[str, Any]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@frozen
class Wishes:
    """What a pod (or the composer, for all pods) asks of nodes."""

    selector: Term | None
    required: tuple[Term, ...] | None
    preferred: tuple[tuple[int, Term], ...]

    @classmethod
    def of(cls, affinity: Object, selector: dict[str, str] | None = None) -> "Wishes":
        preferred = ((p.get("weight", 0), term(p.get("preference"))) for p in affinity.get(PREFERRED) or ())
        return cls(
            from_labels(selector) if selector else None,
            terms(affinity.get(REQUIRED)),
            tuple((weight, wanted) for weight, wanted in preferred if weight and wanted),
        )

    @property
    def demanding(self) -> bool:
        return self.selector is not None or self.required is not None

    def hold(self, node: Object) -> bool:
        if self.selector is not None and not term_holds(self.selector, node):
            return False
        return self.required is None or any(term_holds(wanted, node) for wanted in self.required)

    def mask(self, nodes: NodeTable) -> BoolArray:
        """Only when `demanding`."""
        if self.selector is None:
            return any_mask(self.required or (), nodes)
        mask = term_mask(self.selector, nodes)
        return mask if self.required is None else mask & any_mask(self.required, nodes)

    def names(self) -> frozenset[str] | None:
        """The only nodes that can be right by ``metadata.name``; None: not limited."""
        found: set[str] = set()
        for wanted in self.required or ((),):
            here: set[str] | None = None
            for requirement in wanted:
                if requirement.field and requirement.key == NAME_FIELD and requirement.operator == "In":
                    here = set(requirement.values) if here is None else here & set(requirement.values)
            if here is None:
                return None
            found |= here
        return frozenset(found)


class NodeAffinity:
    name = "NodeAffinity"
    weight = 2

    def __init__(self, settings: Settings) -> None:
        self._added = Wishes.of(settings.added_affinity)

    def _wishes(self, pod: PodInfo) -> Wishes:
        wishes: Wishes | None = pod.state.get(self.name)
        if wishes is None:
            wishes = pod.state[self.name] = wishes_of(pod)
        return wishes

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> Skip | Refusal | frozenset[str] | None:
        wishes = self._wishes(pod)
        if not wishes.demanding and not self._added.demanding:
            return SKIP
        names = wishes.names()
        if names is not None and not names:
            return Refusal(REASON_CONFLICT, unresolvable=True)
        return names

    def filter(self, pod: PodInfo, nodes: NodeTable) -> BoolArray:
        wishes = self._wishes(pod)
        if not self._added.demanding:
            return wishes.mask(nodes)
        enforced = self._added.mask(nodes)
        return enforced & wishes.mask(nodes) if wishes.demanding else enforced

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: NDArray[np.intp]) -> Sequence[Refusal]:
        refusals = []
        if self._added.demanding:
            enforced = self._added.mask(nodes)[rows]
            if not enforced.all():
                refusals.append(Refusal(REASON_ENFORCED, rows[~enforced], unresolvable=True))
            rows = rows[enforced]
        if len(rows):
            change = _nearest(self._wishes(pod), nodes, rows)
            refusals.append(Refusal(REASON_POD, rows, unresolvable=True, change=change))
        return refusals

    def pre_score(self, pod: PodInfo, nodes: NodeTable, feasible: NDArray[np.intp]) -> Skip | None:
        return None if self._wishes(pod).preferred or self._added.preferred else SKIP

    def score(self, pod: PodInfo, nodes: NodeTable) -> IntArray:
        scores = np.zeros(nodes.size, np.int64)
        for weight, wanted in (*self._added.preferred, *self._wishes(pod).preferred):
            scores += term_mask(wanted, nodes) * np.int64(weight)
        return scores

    def normalize(self, pod: PodInfo, nodes: NodeTable, scores: IntArray, feasible: NDArray[np.intp]) -> IntArray:
        return normalize(scores, feasible)

    def events_to_register(self) -> Sequence[EventWithHint]:
        return (EventWithHint(ClusterEvent("Node", Action.ADD | Action.UPDATE_NODE_LABEL), self._began_to_match),)

    def _began_to_match(self, pod: PodInfo, old: Object | None, new: Object | None) -> bool:
        wishes = wishes_of(pod)

        def matches(node: Object | None) -> bool:
            return node is not None and wishes.hold(node) and self._added.hold(node)

        return matches(new) and not matches(old)


def wishes_of(pod: PodInfo) -> Wishes:
    spec = pod.spec
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return Wishes.of(affinity, spec.get("nodeSelector"))


def _nearest(wishes: Wishes, nodes: NodeTable, rows: NDArray[np.intp]) -> str:
    """The node that misses the fewest requirements of one way to match, and which."""
    best: tuple[int, str] | None = None
    for wanted in wishes.required or ((),):
        together = (*(wishes.selector or ()), *wanted)
        missing = np.zeros(len(rows), np.int64)
        for requirement in together:
            missing += ~requirement.mask(nodes)[rows]
        if not together:
            continue
        least = int(np.argmin(missing))
        count = int(missing[least])
        if best is None or count < best[0]:
            row = int(rows[least])
            failed = [r for r in together if not r.mask(nodes)[row]]
            words = ", ".join(f"{r.key} {r.operator} {' '.join(r.values)}".rstrip() for r in failed)
            best = (count, f"{nodes.name(row)} would do with {words}")
    return best[1] if best else ""
