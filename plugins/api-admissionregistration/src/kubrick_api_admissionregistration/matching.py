"""Which requests a webhook or a policy is about: rules, selectors, conditions. Paths, order and wording are those
of pkg/apis/admissionregistration/validation.

"""

from collections.abc import Iterator, Sequence
from typing import Any

from kubrick_api.errors import FieldError, duplicate, invalid_value, not_supported, required, too_many
from kubrick_api.formats import invalids
from kubrick_api.resource import Object
from kubrick_api.validation import label_selector, name_is_path_segment, qualified_name
from kubrick_api_admissionregistration.expressions import Scope

Errors = Iterator[FieldError]

SCOPES = ("*", "Cluster", "Namespaced")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
MAX_CONDITIONS = 64


def chosen(value: Any, choices: Sequence[str], at: str, *, needed: bool = True) -> Errors:
    """One of the choices; `needed`: absence is a mistake, too."""
    if value is None or (value == "" and needed):
        if needed:
            yield required(at)
    elif value not in choices:
        yield not_supported(at, value, choices)


def validate_rule(rule: Object, at: str) -> Errors:
    """A RuleWithOperations."""
    operations = rule.get("operations") or []
    if not operations:
        yield required(f"{at}.operations")
    yield from _alone(operations, "operations", f"{at}.operations")
    for i, operation in enumerate(operations):
        if operation not in OPERATIONS:
            yield not_supported(f"{at}.operations[{i}]", operation, OPERATIONS)
    for name, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(name) or []
        if not values:
            yield required(f"{at}.{name}")
        yield from _alone(values, what, f"{at}.{name}")
    for i, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            yield required(f"{at}.apiVersions[{i}]")
    yield from _resources(rule.get("resources") or [], f"{at}.resources")
    yield from chosen(rule.get("scope"), SCOPES, f"{at}.scope", needed=False)


def _alone(values: Sequence[str], what: str, at: str) -> Errors:
    if len(values) > 1 and "*" in values:
        yield invalid_value(at, list(values), f"if '*' is present, must not specify other {what}")


def _resources(resources: Sequence[str], at: str) -> Errors:
    """Resources and their subresources: "pods", "pods/*", "*/scale", "*/*"."""
    if not resources:
        yield required(at)
    whole: set[str] = set()
    everywhere: set[str] = set()
    bare = False
    for i, text in enumerate(resources):
        if not text:
            yield required(f"{at}[{i}]")
            continue
        resource, slash, sub = text.partition("/")
        if not slash:
            bare = text != "*"
            continue
        if resource in whole:
            yield invalid_value(f"{at}[{i}]", text, f"if '{resource}/*' is present, must not specify {text}")
        if sub in everywhere:
            yield invalid_value(f"{at}[{i}]", text, f"if '*/{sub}' is present, must not specify {text}")
        if sub == "*":
            whole.add(resource)
        if resource == "*":
            everywhere.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid_value(at, list(resources), "if '*/*' is present, must not specify other resources")
    if "*" in resources and bare:
        why = "if '*' is present, must not specify other resources without subresources"
        yield invalid_value(at, list(resources), why)


def validate_match_resources(match: Object, at: str) -> Errors:
    yield from chosen(match.get("matchPolicy"), MATCH_POLICIES, f"{at}.matchPolicy")
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            yield required(f"{at}.{name}")
        else:
            yield from label_selector(match[name], f"{at}.{name}")
    for name in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(match.get(name) or ()):
            yield from _names(rule.get("resourceNames") or [], f"{at}.{name}[{i}].resourceNames")
            yield from validate_rule(rule, f"{at}.{name}[{i}]")


def _names(names: Sequence[str], at: str) -> Errors:
    for i, name in enumerate(names):
        yield from invalids(f"{at}[{i}]", name, name_is_path_segment(name))
        if name in names[:i]:
            yield duplicate(f"{at}[{i}]", name)


def validate_mutating_operations(match: Object, at: str) -> Errors:
    """Nothing is left to mutate in a deletion."""
    for rule in match.get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            if operation not in MUTATING_OPERATIONS:
                yield not_supported(f"{at}.resourceRules.operations", operation, MUTATING_OPERATIONS)


def validate_match_conditions(conditions: Sequence[Object], scope: Scope, at: str) -> Errors:
    if len(conditions) > MAX_CONDITIONS:
        yield too_many(at, len(conditions), MAX_CONDITIONS)
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        name = condition.get("name") or ""
        expression = (condition.get("expression") or "").strip()
        if not expression:
            yield required(f"{at}[{i}].expression")
        else:
            yield from scope.check(expression, f"{at}[{i}].expression", "bool")
        if not name:
            yield required(f"{at}[{i}].name")
            continue
        yield from invalids(f"{at}[{i}].name", name, qualified_name(name))
        if name in seen:
            yield duplicate(f"{at}[{i}].name", name)
        seen.add(name)
