"""What can be wrong with where a pod may run: node selectors, affinity, tolerations, topology spread.

Paths and wording are those of pkg/apis/core/validation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api.validation import label_selector as validate_label_selector
from kubrick_api.validation import label_value, name_is_dns_label, name_is_dns_subdomain, qualified_name
from kubrick_api_core.tolerance import NONE, PREFERRED, TERMS, Tolerance

Errors = list[FieldError]

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
WEIGHT = "must be in the range 1-100"
NOT_EMPTY = "can not be empty"
POSITIVE = "must be greater than zero"
OPERATOR = "not a valid selector operator"
ALL_TAINTS = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
NO_SELECTOR = "must not be specified when labelSelector is not set"
BOTH = "exists in both matchLabelKeys and labelSelector"


def validate_tolerations(tolerations: Sequence[Object], path: str, errors: Errors) -> None:
    for i, toleration in enumerate(tolerations):
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        effect, value = toleration.get("effect") or "", toleration.get("value") or ""
        if key and (wrong := qualified_name(key)):
            errors += [invalid_value(f"{path}[{i}].key", key, why) for why in wrong]
        if not key and operator != "Exists":
            errors.append(invalid_value(f"{path}[{i}].operator", operator, ALL_TAINTS))
        if effect != "NoExecute" and toleration.get("tolerationSeconds") is not None:
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(invalid_value(f"{path}[{i}].effect", effect, why))
        if operator == "Exists":
            if value:
                why = "value must be empty when `operator` is 'Exists'"
                errors.append(invalid_value(f"{path}[{i}].operator", value, why))
        elif operator in ("", "Equal"):
            if wrong := label_value(value):
                errors.append(invalid_value(f"{path}[{i}].operator", value, ";".join(wrong)))
        else:
            known = ("Equal", "Exists", "Lt", "Gt") if operator in ("Lt", "Gt") else ("Equal", "Exists")
            errors.append(not_supported(f"{path}[{i}].operator", operator, known))
        if effect and effect not in EFFECTS:
            errors.append(not_supported(f"{path}[{i}].effect", effect, EFFECTS))


def validate_affinity(affinity: Object, path: str, errors: Errors, tolerance: Tolerance = NONE) -> None:
    if node := affinity.get("nodeAffinity"):
        at = f"{path}.nodeAffinity"
        if (needed := node.get(TERMS)) is not None:
            validate_node_selector(needed, f"{at}.{TERMS}", errors, any_value=tolerance.node_labels)
        for i, term in enumerate(node.get(PREFERRED) or ()):
            here = f"{at}.{PREFERRED}[{i}]"
            _weight(term, here, errors)
            _node_term(term.get("preference") or {}, f"{here}.preference", errors, any_value=True)
    for kind in ("podAffinity", "podAntiAffinity"):
        if terms := affinity.get(kind):
            _pod_terms(terms, f"{path}.{kind}", errors, any_value=tolerance.affinity_selectors)


def _pod_terms(terms: Object, path: str, errors: Errors, *, any_value: bool) -> None:
    for i, term in enumerate(terms.get(TERMS) or ()):
        _pod_term(term, f"{path}.{TERMS}[{i}]", errors, any_value=any_value)
    for i, term in enumerate(terms.get(PREFERRED) or ()):
        at = f"{path}.{PREFERRED}[{i}]"
        _weight(term, at, errors)
        _pod_term(term.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm", errors, any_value=any_value)


def _weight(term: Object, path: str, errors: Errors) -> None:
    weight = term.get("weight") or 0
    if not 1 <= weight <= 100:
        errors.append(invalid_value(f"{path}.weight", weight, WEIGHT))


def validate_node_selector(selector: Object, path: str, errors: Errors, *, any_value: bool = False) -> None:
    """`any_value`: values that are no label values were there before."""
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        errors.append(required(f"{path}.nodeSelectorTerms", "must have at least one node selector term"))
    for i, term in enumerate(terms):
        _node_term(term, f"{path}.nodeSelectorTerms[{i}]", errors, any_value=any_value)


def _node_term(term: Object, path: str, errors: Errors, *, any_value: bool) -> None:
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        _node_requirement(requirement, f"{path}.matchExpressions[{i}]", errors, any_value=any_value)
    for i, requirement in enumerate(term.get("matchFields") or ()):
        _field_requirement(requirement, f"{path}.matchFields[{i}]", errors)


def _field_requirement(requirement: Object, at: str, errors: Errors) -> None:
    operator, key = requirement.get("operator") or "", requirement.get("key") or ""
    values = requirement.get("values") or ()
    if operator not in ("In", "NotIn"):
        errors.append(invalid_value(f"{at}.operator", operator, OPERATOR))
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{at}.values", why))
    if key != "metadata.name":
        errors.append(invalid_value(f"{at}.key", key, "not a valid field selector key"))
        return
    for i, value in enumerate(values):
        errors += [invalid_value(f"{at}.values[{i}]", value, why) for why in name_is_dns_subdomain(value)]


def _node_requirement(requirement: Mapping[str, Any], at: str, errors: Errors, *, any_value: bool) -> None:
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden_value(f"{at}.values", why))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.append(required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errors.append(invalid_value(f"{at}.operator", operator, OPERATOR))
    key = requirement.get("key") or ""
    errors += [invalid_value(f"{at}.key", key, why) for why in qualified_name(key)]
    if not any_value:
        for i, value in enumerate(values):
            errors += [invalid_value(f"{at}.values[{i}]", value, why) for why in label_value(value)]


def _pod_term(term: Object, path: str, errors: Errors, *, any_value: bool) -> None:
    selector = term.get("labelSelector")
    for kind in ("labelSelector", "namespaceSelector"):
        if term.get(kind):
            errors += validate_label_selector(term[kind], f"{path}.{kind}", any_value=any_value)
    for name in term.get("namespaces") or ():
        errors += [invalid_value(f"{path}.namespace", name, why) for why in name_is_dns_label(name)]
    if term.get("matchLabelKeys") or term.get("mismatchLabelKeys"):
        keys, others = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
        _label_keys(keys, others, selector, path, errors)
    key = term.get("topologyKey") or ""
    if not key:
        errors.append(required(f"{path}.topologyKey", NOT_EMPTY))
    errors += [invalid_value(f"{path}.topologyKey", key, why) for why in qualified_name(key)]


def _label_keys(keys: Sequence[str], others: Sequence[str], selector: Object | None, path: str, errors: Errors) -> None:
    """matchLabelKeys and mismatchLabelKeys: names of labels, no key in both, none that the selector has already.

    When this is checked the server has added requirements for them to the selector: a key is there twice if
    its author had it there, too.
    """
    for name, given in (("matchLabelKeys", keys), ("mismatchLabelKeys", others)):
        if given and selector is None:
            errors.append(forbidden_value(f"{path}.{name}", NO_SELECTOR))
            continue
        for i, key in enumerate(given):
            errors += [invalid_value(f"{path}.{name}[{i}]", key, why) for why in qualified_name(key)]
    if selector is not None:
        places = {key: i for i, key in enumerate(keys)}
        known = set(selector.get("matchLabels") or ())
        for expression in selector.get("matchExpressions") or ():
            key = expression.get("key") or ""
            if key in places and key in known:
                errors.append(invalid_value(f"{path}[{places[key]}]", key, BOTH))
            known.add(key)
    for i, key in enumerate(keys):
        if key in others:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid_value(f"{path}.matchLabelKeys[{i}]", key, why))


def validate_spread(constraints: Sequence[Object], path: str, errors: Errors, tolerance: Tolerance = NONE) -> None:
    pairs = [(each.get("topologyKey") or "", each.get("whenUnsatisfiable") or "") for each in constraints]
    for i, constraint in enumerate(constraints):
        at = f"{path}[{i}]"
        skew, (key, when) = constraint.get("maxSkew") or 0, pairs[i]
        if skew <= 0:
            errors.append(invalid_value(f"{at}.maxSkew", skew, POSITIVE))
        if not key:
            errors.append(required(f"{at}.topologyKey", NOT_EMPTY))
        if when not in ACTIONS:
            errors.append(not_supported(f"{at}.whenUnsatisfiable", when, ACTIONS))
        if pairs[i] in pairs[i + 1 :]:
            errors.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}"))
        if (domains := constraint.get("minDomains")) is not None:
            if domains <= 0:
                errors.append(invalid_value(f"{at}.minDomains", domains, POSITIVE))
            if when != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
                errors.append(invalid_value(f"{at}.minDomains", domains, why))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(name) not in (None, "Honor", "Ignore"):
                errors.append(not_supported(f"{at}.{name}", constraint[name], ("Honor", "Ignore")))
        _spread_keys(constraint, at, errors, tolerance)
        if not tolerance.spread_selectors and constraint.get("labelSelector"):
            errors += validate_label_selector(constraint["labelSelector"], f"{at}.labelSelector")


def _spread_keys(constraint: Object, at: str, errors: Errors, tolerance: Tolerance) -> None:
    keys, selector = constraint.get("matchLabelKeys") or (), constraint.get("labelSelector")
    if not keys:
        return
    if not tolerance.spread_keys:
        _label_keys(keys, (), selector, at, errors)
        return
    # The older rule, for pods that were made under it.
    if selector is None:
        errors.append(forbidden_value(f"{at}.matchLabelKeys", NO_SELECTOR))
    known = {*((selector or {}).get("matchLabels") or ())}
    known |= {each.get("key") for each in (selector or {}).get("matchExpressions") or ()}
    for i, key in enumerate(keys):
        here = f"{at}.matchLabelKeys[{i}]"
        errors += [invalid_value(here, key, why) for why in qualified_name(key)]
        if key in known:
            errors.append(invalid_value(here, key, BOTH))


def validate_gates(gates: Sequence[Object], path: str, errors: Errors) -> None:
    """schedulingGates."""
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        name, at = gate.get("name") or "", f"{path}[{i}]"
        errors += [invalid_value(at, name, why) for why in qualified_name(name)]
        if name in seen:
            errors.append(duplicate(at, name))
        seen.add(name)
