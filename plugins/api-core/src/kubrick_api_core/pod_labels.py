"""matchLabelKeys and mismatchLabelKeys, made part of the selectors they belong to.

They name labels whose value the new pod itself has; the value is written into the selector once, at creation
(mutatePodAffinity, mutateTopologySpreadConstraints in pkg/registry/core/pod/strategy.go).
"""

from collections.abc import Mapping, Sequence

from kubrick_api.resource import Object
from kubrick_api_core.tolerance import PREFERRED, TERMS


def merge_label_keys(spec: Object, labels: Mapping[str, str]) -> None:
    """`labels` are the pod's. Changes the spec's selectors in place."""
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        own = affinity.get(kind) or {}
        for weighted in own.get(PREFERRED) or ():
            _merge_term(weighted.get("podAffinityTerm") or {}, labels)
        for term in own.get(TERMS) or ():
            _merge_term(term, labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint.get("matchLabelKeys") and constraint.get("labelSelector") is not None:
            _add(constraint["labelSelector"], constraint["matchLabelKeys"], "In", labels)


def _merge_term(term: Object, labels: Mapping[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    _add(selector, term.get("matchLabelKeys") or (), "In", labels)
    _add(selector, term.get("mismatchLabelKeys") or (), "NotIn", labels)


def _add(selector: Object, keys: Sequence[str], operator: str, labels: Mapping[str, str]) -> None:
    added = [{"key": key, "operator": operator, "values": [labels[key]]} for key in keys if key in labels]
    if added:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]
