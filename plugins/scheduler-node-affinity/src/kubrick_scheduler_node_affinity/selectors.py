"""Node selectors, asked of one node or of all at once.

A node selector is a list of terms, any of which must hold; a term is a list of requirements on labels and
fields, all of which must hold; an empty term holds for no node. A requirement is answered once per distinct
value of its label, then looked up for all nodes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from kubrick_scheduler import NodeTable

Object = dict[str, Any]
BoolArray = NDArray[np.bool_]
NAME_FIELD = "metadata.name"


@frozen
class Requirement:
    """One match expression on a label (or, with `field`, on a field of the node)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    field: bool = False

    def holds(self, value: str | None) -> bool:
        """For a node whose label (or field) has this value; None: it has none."""
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return self._compares(value)
        return False

    def _compares(self, value: str | None) -> bool:
        """Both sides must be integers."""
        if value is None or len(self.values) != 1:
            return False
        try:
            left, right = int(value), int(self.values[0])
        except ValueError:
            return False
        return left > right if self.operator == "Gt" else left < right

    def mask(self, nodes: NodeTable) -> BoolArray:
        """For all nodes."""
        if self.field:
            return self._mask_of_names(nodes)
        column = nodes.label(self.key)
        numbers = nodes.label_numbers(self.key)
        dictionary = column.dictionary
        mask: BoolArray
        match self.operator:
            case "Exists":
                mask = numbers != 0
            case "DoesNotExist":
                mask = numbers == 0
            case "In" if len(self.values) == 1:
                mask = numbers == dictionary.number(self.values[0])
            case "In" | "NotIn":
                found = np.zeros(len(dictionary), np.bool_)
                found[[n for v in self.values if (n := dictionary.number(v)) > 0]] = True
                mask = (found if self.operator == "In" else ~found)[numbers]
            case _:
                values = (number != 0 and self.holds(value) for number, value in enumerate(dictionary.values))
                mask = np.fromiter(values, np.bool_, len(dictionary))[numbers]
        return mask

    def _mask_of_names(self, nodes: NodeTable) -> BoolArray:
        if self.key != NAME_FIELD or self.operator not in ("In", "NotIn"):
            return np.zeros(nodes.size, np.bool_)
        mask = np.zeros(nodes.size, np.bool_)
        mask[[row for name in self.values if (row := nodes.row(name)) >= 0]] = True
        return mask if self.operator == "In" else ~mask


Term = tuple[Requirement, ...]
"""All of these; an empty one matches nothing."""


def _requirements(entries: Sequence[Object] | None, field: bool) -> list[Requirement]:
    return [Requirement(e["key"], e["operator"], tuple(e.get("values") or ()), field) for e in entries or ()]


def term(obj: Object | None) -> Term:
    """A NodeSelectorTerm."""
    obj = obj or {}
    return (*_requirements(obj.get("matchExpressions"), False), *_requirements(obj.get("matchFields"), True))


def terms(node_selector: Object | None) -> tuple[Term, ...] | None:
    """A NodeSelector; None when there is none (everything goes)."""
    if node_selector is None:
        return None
    return tuple(term(entry) for entry in node_selector.get("nodeSelectorTerms") or ())


def from_labels(labels: Mapping[str, str]) -> Term:
    """A pod's spec.nodeSelector."""
    return tuple(Requirement(key, "In", (value,)) for key, value in labels.items())


def term_holds(wanted: Term, node: Object) -> bool:
    metadata = node["metadata"]
    labels = metadata.get("labels") or {}
    return bool(wanted) and all(
        r.holds((metadata["name"] if r.key == NAME_FIELD else None) if r.field else labels.get(r.key)) for r in wanted
    )


def term_mask(wanted: Term, nodes: NodeTable) -> BoolArray:
    if not wanted:
        return np.zeros(nodes.size, np.bool_)
    mask = wanted[0].mask(nodes)
    for requirement in wanted[1:]:
        mask = mask & requirement.mask(nodes)
    return mask


def any_mask(alternatives: Sequence[Term], nodes: NodeTable) -> BoolArray:
    mask = np.zeros(nodes.size, np.bool_)
    for wanted in alternatives:
        mask |= term_mask(wanted, nodes)
    return mask
