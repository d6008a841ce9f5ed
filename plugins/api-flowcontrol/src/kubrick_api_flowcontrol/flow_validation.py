"""What can be wrong with a FlowSchema. Paths, order and wording are those of pkg/apis/flowcontrol/validation."""

from collections.abc import Iterator, Sequence
from typing import Any

from kubrick_api.equality import same
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
)
from kubrick_api.formats import invalids
from kubrick_api.resource import Object
from kubrick_api.validation import name_is_dns_label, name_is_dns_subdomain
from kubrick_api_flowcontrol.mandatory import FLOW_SCHEMAS

Errors = Iterator[FieldError]

HIGHEST_PRECEDENCE = 10000
METHODS = ("ByNamespace", "ByUser")
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
KINDS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
NAMESPACES = "each member of this list must be '*' or a DNS-1123 label; "


def validate_flow_schema(obj: Object) -> Errors:
    name, spec = obj["metadata"].get("name") or "", obj.get("spec") or {}
    yield from _spec(name, spec)
    mandatory = FLOW_SCHEMAS.get(name)
    if mandatory is not None and not same(spec, mandatory):
        yield invalid_value("spec", spec, f"spec of '{name}' must equal the fixed value")
    yield from validate_condition_types(obj.get("status") or {})


def validate_condition_types(status: Object) -> Errors:
    """Of FlowSchemas and of priority levels: each type once."""
    seen: set[str] = set()
    for i, condition in enumerate(status.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind in seen:
            yield duplicate(f"status.conditions[{i}].type", kind)
        seen.add(kind)
        if not kind:
            yield required(f"status.conditions[{i}].type")


def _spec(name: str, spec: Object) -> Errors:
    precedence, at = spec.get("matchingPrecedence") or 0, "spec.matchingPrecedence"
    if precedence <= 0:
        yield invalid_value(at, precedence, "must be a positive value")
    if precedence > HIGHEST_PRECEDENCE:
        yield invalid_value(at, precedence, f"must not be greater than {HIGHEST_PRECEDENCE}")
    if precedence == 1 and name != "exempt":
        yield invalid_value(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in METHODS:
        yield not_supported("spec.distinguisherMethod.type", {"Type": method.get("type") or ""}, METHODS)
    level = (spec.get("priorityLevelConfiguration") or {}).get("name") or ""
    at = "spec.priorityLevelConfiguration.name"
    if level:
        yield from invalids(at, level, name_is_dns_subdomain(level))
    else:
        yield required(at, "must reference a priority level")
    for i, rule in enumerate(spec.get("rules") or ()):
        yield from _rule(rule, f"spec.rules[{i}]")


def _rule(rule: Object, at: str) -> Errors:
    if not rule.get("subjects"):
        yield required(f"{at}.subjects", "subjects must contain at least one value")
    for i, subject in enumerate(rule.get("subjects") or ()):
        yield from _subject(subject, f"{at}.subjects[{i}]")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        yield required(at, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for i, resources in enumerate(rule.get("resourceRules") or ()):
        yield from _resources(resources, f"{at}.resourceRules[{i}]")
    for i, paths in enumerate(rule.get("nonResourceRules") or ()):
        yield from _paths(paths, f"{at}.nonResourceRules[{i}]")


def _subject(subject: Object, at: str) -> Errors:
    kind = subject.get("kind") or ""
    if kind not in KINDS:
        yield not_supported(f"{at}.kind", kind, sorted(KINDS))
        return
    field = KINDS[kind]
    value, here = subject.get(field), f"{at}.{field}"
    if value is None:
        yield required(here, f"{field} is required when subject kind is '{kind}'")
    else:
        name = value.get("name") or ""
        if not name:
            yield required(f"{here}.name")
        elif kind == "ServiceAccount" and name != "*":
            yield from invalids(f"{here}.name", name, name_is_dns_subdomain(name))
        if kind == "ServiceAccount":
            yield from _namespace(value.get("namespace") or "", f"{here}.namespace")
    for other in ("ServiceAccount", "User", "Group"):
        if other != kind and subject.get(KINDS[other]) is not None:
            why = f"{KINDS[other]} is forbidden when subject kind is not '{other}'"
            yield forbidden_value(f"{at}.{KINDS[other]}", why)


def _namespace(name: str, at: str) -> Errors:
    if name:
        yield from invalids(at, name, name_is_dns_label(name))
    else:
        yield required(at, "must specify namespace for service account")


def _alone(values: Sequence[Any], what: str, at: str) -> Errors:
    if len(values) > 1 and "*" in values:
        yield invalid_value(at, list(values), f"if '*' is present, must not specify other {what}")


def _verbs(rule: Object, at: str) -> Errors:
    verbs = rule.get("verbs") or []
    if not verbs:
        yield required(f"{at}.verbs", "verbs must contain at least one value")
    yield from _alone(verbs, "verbs", f"{at}.verbs")
    if "*" not in verbs and not {*verbs} <= {*VERBS}:
        yield not_supported(f"{at}.verbs", verbs, VERBS)


def _resources(rule: Object, at: str) -> Errors:
    yield from _verbs(rule, at)
    for name, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        if not rule.get(name):
            yield required(f"{at}.{name}", f"resource rules must supply at least one {one}")
        yield from _alone(rule.get(name) or (), many, f"{at}.{name}")
    namespaces = rule.get("namespaces") or ()
    if not namespaces and not rule.get("clusterScope"):
        why = "resource rules that are not cluster scoped must supply at least one namespace"
        yield required(f"{at}.namespaces", why)
    yield from _alone(namespaces, "namespaces", f"{at}.namespaces")
    for i, name in enumerate(namespaces if "*" not in namespaces else ()):
        yield from invalids(f"{at}.namespaces[{i}]", name, [NAMESPACES + why for why in name_is_dns_label(name)])


def _paths(rule: Object, at: str) -> Errors:
    yield from _verbs(rule, at)
    paths = rule.get("nonResourceURLs") or ()
    if not paths:
        yield required(f"{at}.nonResourceURLs", "nonResourceURLs must contain at least one value")
    yield from _alone(paths, "non-resource URLs", f"{at}.nonResourceURLs")
    for i, path in enumerate(paths if "*" not in paths else ()):
        if why := _path(path):
            yield invalid_value(f"{at}.nonResourceURLs[{i}]", path, why)


def _path(path: str) -> str:
    if not path:
        return "must not be empty"
    if path == "/":
        return ""
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    stars = path.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not path.endswith("/*")) else ""
