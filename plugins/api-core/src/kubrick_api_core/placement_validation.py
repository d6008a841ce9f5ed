"""What can be wrong with where a pod may run: node selectors, affinity, tolerations, topology spread.

Paths and wording are those of pkg/apis/core/validation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api.validation import label_selector as validate_label_selector
from kubrick_api.validation import label_value, qualified_name
from kubrick_api.validation import labels as validate_labels

Errors = Iterator[FieldError]

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
WEIGHT = "must be in the range 1-100"
NOT_EMPTY = "can not be empty"


def validate_placement(spec: Object, path: str) -> Errors:
    """All of a pod spec's placement rules."""
    yield from validate_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    if affinity := spec.get("affinity"):
        yield from validate_affinity(affinity, f"{path}.affinity")
    yield from validate_tolerations(spec.get("tolerations") or (), f"{path}.tolerations")
    yield from _spread(spec.get("topologySpreadConstraints") or (), f"{path}.topologySpreadConstraints")
    gates: set[str] = set()
    for i, gate in enumerate(spec.get("schedulingGates") or ()):
        at = f"{path}.schedulingGates[{i}]"
        name = gate.get("name") or ""
        for message in qualified_name(name):
            yield invalid_value(f"{at}.name", name, message)
        if name in gates:
            yield duplicate(at, name)
        gates.add(name)


def validate_tolerations(tolerations: Any, path: str) -> Errors:
    for i, toleration in enumerate(tolerations):
        at = f"{path}[{i}]"
        key, operator, effect = (toleration.get(name) or "" for name in ("key", "operator", "effect"))
        value = toleration.get("value") or ""
        for message in qualified_name(key) if key else ():
            yield invalid_value(f"{at}.key", key, message)
        if not key and operator != "Exists":
            yield invalid_value(
                f"{at}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid_value(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator in ("", "Equal"):
            messages = label_value(value)
            if messages:
                yield invalid_value(f"{at}.operator", value, "; ".join(messages))
        elif operator == "Exists":
            if value:
                yield invalid_value(f"{at}.operator", toleration, "value must be empty when `operator` is 'Exists'")
        else:
            yield not_supported(f"{at}.operator", operator, ("Equal", "Exists"))
        if effect and effect not in EFFECTS:
            yield not_supported(f"{at}.effect", effect, EFFECTS)


def validate_affinity(affinity: Object, path: str) -> Errors:
    if node := affinity.get("nodeAffinity"):
        at = f"{path}.nodeAffinity"
        if (needed := node.get("requiredDuringSchedulingIgnoredDuringExecution")) is not None:
            yield from validate_node_selector(needed, f"{at}.requiredDuringSchedulingIgnoredDuringExecution")
        for i, term in enumerate(node.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
            here = f"{at}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
            yield from _weight(term, here)
            yield from _node_term(term.get("preference") or {}, f"{here}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        for i, term in enumerate(terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ()):
            yield from _pod_term(term, f"{path}.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{i}]")
        for i, term in enumerate(terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
            here = f"{path}.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
            yield from _weight(term, here)
            yield from _pod_term(term.get("podAffinityTerm") or {}, f"{here}.podAffinityTerm")


def _weight(term: Object, path: str) -> Errors:
    if not 1 <= (term.get("weight") or 0) <= 100:
        yield invalid_value(f"{path}.weight", term.get("weight") or 0, WEIGHT)


def validate_node_selector(selector: Object, path: str) -> Errors:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for i, term in enumerate(terms):
        yield from _node_term(term, f"{path}.nodeSelectorTerms[{i}]")


def _node_term(term: Object, path: str) -> Errors:
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        yield from _node_requirement(requirement, f"{path}.matchExpressions[{i}]")
    for i, requirement in enumerate(term.get("matchFields") or ()):
        at = f"{path}.matchFields[{i}]"
        if requirement.get("operator") in ("In", "NotIn"):
            if len(requirement.get("values") or ()) != 1:
                yield required(
                    f"{at}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
                )
        else:
            yield invalid_value(f"{at}.operator", requirement.get("operator") or "", "not a valid selector operator")
        if requirement.get("key") != "metadata.name":
            yield invalid_value(f"{at}.key", requirement.get("key") or "", "not a valid field selector key")


def _node_requirement(requirement: Mapping[str, Any], at: str) -> Errors:
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden_value(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            yield required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield invalid_value(f"{at}.operator", operator, "not a valid selector operator")
    for message in qualified_name(requirement.get("key") or ""):
        yield invalid_value(f"{at}.key", requirement.get("key") or "", message)


def _pod_term(term: Object, path: str) -> Errors:
    if term.get("labelSelector") is not None:
        yield from validate_label_selector(term["labelSelector"], f"{path}.labelSelector")
    if term.get("namespaceSelector") is not None:
        yield from validate_label_selector(term["namespaceSelector"], f"{path}.namespaceSelector")
    key = term.get("topologyKey") or ""
    if not key:
        yield required(f"{path}.topologyKey", NOT_EMPTY)
    else:
        for message in qualified_name(key):
            yield invalid_value(f"{path}.topologyKey", key, message)


def _spread(constraints: Any, path: str) -> Errors:
    seen: set[tuple[str, str]] = set()
    for i, constraint in enumerate(constraints):
        at = f"{path}[{i}]"
        if (constraint.get("maxSkew") or 0) <= 0:
            yield invalid_value(f"{at}.maxSkew", constraint.get("maxSkew") or 0, "must be greater than zero")
        key, when = constraint.get("topologyKey") or "", constraint.get("whenUnsatisfiable") or ""
        if not key:
            yield required(f"{at}.topologyKey", NOT_EMPTY)
        else:
            for message in qualified_name(key):
                yield invalid_value(f"{at}.topologyKey", key, message)
        if not when:
            yield required(f"{at}.whenUnsatisfiable", NOT_EMPTY)
        elif when not in ("DoNotSchedule", "ScheduleAnyway"):
            yield not_supported(f"{at}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway"))
        if (key, when) in seen:
            yield duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}")
        seen.add((key, when))
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                yield invalid_value(f"{at}.minDomains", domains, "must be greater than zero")
            if when == "ScheduleAnyway":
                yield invalid_value(
                    f"{at}.minDomains",
                    domains,
                    f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}",
                )
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(name) not in (None, "Honor", "Ignore"):
                yield not_supported(f"{at}.{name}", constraint[name], ("Honor", "Ignore"))
        if constraint.get("labelSelector") is not None:
            yield from validate_label_selector(constraint["labelSelector"], f"{at}.labelSelector")
