"""Admission policies and their bindings: defaults, validation, rows. Paths, order and wording are those of
pkg/apis/admissionregistration/validation."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.conditions import validate_conditions
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required
from kubrick_api.formats import dns1035_label, invalids
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import label_selector, name_is_path_segment, qualified_name, subdomain
from kubrick_api_admissionregistration.expressions import Scope
from kubrick_api_admissionregistration.matching import (
    FAILURE_POLICIES,
    REINVOCATION_POLICIES,
    chosen,
    validate_match_conditions,
    validate_match_resources,
    validate_mutating_operations,
)

Errors = Iterator[FieldError]

UNSET = "<unset>"
ONE_AT_LEAST = "validations or auditAnnotations must contain at least one item"
EXCLUSIVE = "name and selector are mutually exclusive"
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
ACTIONS = ("Audit", "Deny", "Warn")
PATCH_TYPES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
MADE = {"ApplyConfiguration": "Object", "JSONPatch": "list(JSONPatch)"}
MAX_ANNOTATIONS, MAX_ANNOTATION_EXPRESSION = 20, 5 * 1024
DENY_AND_WARN = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and "
    "headers serves no purpose)"
)
RESERVED = re.compile(
    "true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|"
    "while"
)


def _default_match(resources: Object | None) -> None:
    if resources is None:
        return
    for name, value in (("matchPolicy", "Equivalent"), ("namespaceSelector", {}), ("objectSelector", {})):
        if resources.get(name) is None:
            resources[name] = dict(value) if isinstance(value, dict) else value
    for rules in ("resourceRules", "excludeResourceRules"):
        for rule in resources.get(rules) or ():
            if rule.get("scope") is None:
                rule["scope"] = "*"


class PolicyStrategy(Strategy):
    """ValidatingAdmissionPolicy and MutatingAdmissionPolicy; `work` names what they do."""

    status_keeps_metadata = True
    tracks_generation = True

    def __init__(self, work: str) -> None:
        self.work = work

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("failurePolicy") is None:
            spec["failurePolicy"] = "Fail"
        _default_match(spec.get("matchConstraints"))

    def validate(self, obj: Object) -> list[FieldError]:
        return self._errors(obj, conditions=True)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Conditions that stay aren't looked at again, unless what their params are has changed."""
        new, was = obj.get("spec") or {}, old.get("spec") or {}
        changed = any(not same(new.get(name), was.get(name)) for name in ("paramKind", "matchConditions"))
        return self._errors(obj, conditions=changed)

    def _errors(self, obj: Object, *, conditions: bool) -> list[FieldError]:
        spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
        mutating = self.work == "mutations"
        variables: dict[str, str | None] | None = {} if spec.get("variables") else None
        scope = Scope(spec.get("paramKind") is not None, mutating, variables)
        errors = list(_policy(spec, mutating, scope, conditions))
        return [*errors, *(_mutations(spec, scope) if mutating else _validations(spec, scope, name))]

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_status(obj.get("status") or {}))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        kind = spec.get("paramKind")
        text = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
        return [obj["metadata"]["name"], len(spec.get(self.work) or ()), text, age(obj, now)]


def _policy(spec: Object, mutating: bool, scope: Scope, conditions: bool) -> Errors:
    """What both kinds of policy have."""
    yield from chosen(spec.get("failurePolicy"), FAILURE_POLICIES, "spec.failurePolicy")
    if (kind := spec.get("paramKind")) is not None:
        yield from _param_kind(kind, "spec.paramKind")
    match, at = spec.get("matchConstraints"), "spec.matchConstraints"
    if match is None:
        yield required(at)
    else:
        yield from validate_match_resources(match, at)
        if not match.get("resourceRules"):
            yield required(f"{at}.resourceRules")
        if mutating:
            yield from validate_mutating_operations(match, at)
    if conditions:
        apart = Scope(scope.params)
        yield from validate_match_conditions(spec.get("matchConditions") or (), apart, "spec.matchConditions")
    for i, variable in enumerate(spec.get("variables") or ()):
        yield from _variable(variable, scope, f"spec.variables[{i}]")


def _param_kind(kind: Object, at: str) -> Errors:
    text, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    group, _, version = text.rpartition("/")
    if not text:
        yield required(f"{at}.apiVersion")
    elif text.count("/") > 1:
        yield invalid_value(f"{at}.apiVersion", text, f"unexpected GroupVersion string: {text}")
    else:
        if group and (errors := subdomain(group)):
            yield invalid_value(f"{at}.apiVersion", group, ",".join(errors))
        if not version:
            yield invalid_value(f"{at}.apiVersion", text, "version must be specified")
        elif errors := dns1035_label(version):
            yield invalid_value(f"{at}.apiVersion", version, ",".join(errors))
    if not name:
        yield required(f"{at}.kind")
    elif errors := dns1035_label(name.lower()):
        why = f"may have mixed case, but should otherwise match: {','.join(errors)}"
        yield invalid_value(f"{at}.kind", name, why)


def _variable(variable: Object, scope: Scope, at: str) -> Errors:
    name = variable.get("name") or ""
    if not name.strip():
        yield required(f"{at}.name", "name is not specified")
    elif not re.fullmatch("[_a-zA-Z][_a-zA-Z0-9]*", name) or RESERVED.fullmatch(name):
        yield invalid_value(f"{at}.name", name, "name is not a valid CEL identifier")
    expression = variable.get("expression") or ""
    if not expression.strip():
        yield required(f"{at}.expression", "expression is not specified")
    else:
        yield from scope.declare(name, expression, f"{at}.expression")


def _validations(spec: Object, scope: Scope, name: str) -> Errors:
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or []
    if not validations and not annotations:
        yield required("spec.validations", ONE_AT_LEAST)
        yield required("spec.auditAnnotations", ONE_AT_LEAST)
    for i, validation in enumerate(validations):
        yield from _validation(validation, scope, f"spec.validations[{i}]")
    if len(annotations) > MAX_ANNOTATIONS:
        why = f"must not have more than {MAX_ANNOTATIONS} auditAnnotations"
        yield invalid_value("spec.auditAnnotations", annotations, why)
    keys: set[str] = set()
    for i, annotation in enumerate(annotations):
        at, key = f"spec.auditAnnotations[{i}]", annotation.get("key") or ""
        yield from _audit_annotation(annotation, scope, name, at)
        if key in keys:
            yield duplicate(f"{at}.key", key)
        keys.add(key)


def _validation(validation: Object, scope: Scope, at: str) -> Errors:
    message, computed = validation.get("message") or "", validation.get("messageExpression") or ""
    expression = validation.get("expression") or ""
    if not expression.strip():
        yield required(f"{at}.expression", "expression is not specified")
    else:
        yield from scope.check(expression, f"{at}.expression", "bool")
    if computed and not computed.strip():
        yield invalid_value(f"{at}.messageExpression", computed, "must be non-empty if specified")
    elif computed:
        yield from scope.check(computed, f"{at}.messageExpression", "string", authorizer=False)
    if message and not message.strip():
        yield invalid_value(f"{at}.message", message, "message must be non-empty if specified")
    elif re.search(r"[\n\r]", message.strip()):
        yield invalid_value(f"{at}.message", message, "message must not contain line breaks")
    yield from chosen(validation.get("reason"), REASONS, f"{at}.reason", needed=False)


def _audit_annotation(annotation: Object, scope: Scope, name: str, at: str) -> Errors:
    key = annotation.get("key") or ""
    if name:
        yield from invalids(f"{at}.key", f"{name}/{key}", qualified_name(f"{name}/{key}"))
    else:
        yield invalid_value(f"{at}.key", key, "requires metadata.name be non-empty")
    expression = (annotation.get("valueExpression") or "").strip()
    if not expression:
        yield required(f"{at}.valueExpression", "valueExpression is not specified")
    elif len(expression.encode()) > MAX_ANNOTATION_EXPRESSION:
        why = f"must not exceed {MAX_ANNOTATION_EXPRESSION} bytes in length"
        yield required(f"{at}.valueExpression", why)
    else:
        shown = annotation["valueExpression"]
        yield from scope.check(expression, f"{at}.valueExpression", "string", "null_type", shown=shown)


def _mutations(spec: Object, scope: Scope) -> Errors:
    if not spec.get("mutations"):
        yield required("spec.mutations", "mutations must contain at least one item")
    for i, mutation in enumerate(spec.get("mutations") or ()):
        yield from _mutation(mutation, scope, f"spec.mutations[{i}]")
    yield from chosen(spec.get("reinvocationPolicy"), REINVOCATION_POLICIES, "spec.reinvocationPolicy")


def _mutation(mutation: Object, scope: Scope, at: str) -> Errors:
    kind = mutation.get("patchType") or ""
    yield from chosen(kind, sorted(PATCH_TYPES), f"{at}.patchType")
    if kind not in PATCH_TYPES:
        return
    wanted = PATCH_TYPES[kind]
    if mutation.get(wanted) is None:
        yield required(f"{at}.{wanted}", f"must be specified when patchType is {kind}")
    elif not (mutation[wanted].get("expression") or "").strip():
        yield required(f"{at}.{wanted}.expression")
    else:
        yield from scope.check(mutation[wanted]["expression"], f"{at}.{wanted}.expression", MADE[kind])
    for other in PATCH_TYPES.values():
        if other != wanted and mutation.get(other) is not None:
            why = f"must not be specified when patchType is {kind}"
            yield invalid_value(f"{at}.{other}", f"{{{other}}}", why)


def _status(status: Object) -> Errors:
    warnings = (status.get("typeChecking") or {}).get("expressionWarnings") or ()
    for i, warning in enumerate(warnings):
        at = f"status.typeChecking.expressionWarnings[{i}]"
        if not warning.get("warning"):
            yield required(f"{at}.warning")
        if not (warning.get("fieldRef") or "").strip():
            yield required(f"{at}.fieldRef")
    yield from validate_conditions(status.get("conditions"), "status.conditions")


class PolicyBindingStrategy(Strategy):
    """Both kinds; only validation has actions."""

    tracks_generation = True

    def __init__(self, mutating: bool = False) -> None:
        self.mutating = mutating

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        _default_match(spec.get("matchResources"))

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_binding(obj.get("spec") or {}, self.mutating))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        reference = spec.get("paramRef")
        text = UNSET
        if reference:
            text = f"{reference.get('namespace') or '*'}/{reference.get('name') or '*'}"
        return [obj["metadata"]["name"], spec.get("policyName") or "", text, age(obj, now)]


def _binding(spec: Object, mutating: bool) -> Errors:
    policy = spec.get("policyName") or ""
    if not policy:
        yield required("spec.policyName")
    else:
        yield from invalids("spec.policyName", policy, subdomain(policy))
    if (reference := spec.get("paramRef")) is not None:
        yield from _param_reference(reference, "spec.paramRef")
    match = spec.get("matchResources")
    if match is not None:
        yield from validate_match_resources(match, "spec.matchResources")
        if mutating:
            yield from validate_mutating_operations(match, "spec.matchResources")
    if not mutating:
        yield from _actions(spec.get("validationActions") or [], "spec.validationActions")


def _param_reference(reference: Object, at: str) -> Errors:
    name, selector = reference.get("name") or "", reference.get("selector")
    yield from invalids(f"{at}.name", name, name_is_path_segment(name))
    if name and selector is not None:
        yield forbidden_value(f"{at}.name", EXCLUSIVE)
    yield from label_selector(selector, f"{at}.selector")
    if name and selector is not None:
        yield forbidden_value(f"{at}.selector", EXCLUSIVE)
    if not name and selector is None:
        yield required(at, "one of name or selector must be specified")
    yield from chosen(reference.get("parameterNotFoundAction"), ("Deny", "Allow"), f"{at}.parameterNotFoundAction")


def _actions(actions: Sequence[str], at: str) -> Errors:
    for i, action in enumerate(actions):
        if action not in ACTIONS:
            yield not_supported(f"{at}[{i}]", action, ACTIONS)
        if action in actions[:i]:
            yield duplicate(f"{at}[{i}]", action)
    if "Deny" in actions and "Warn" in actions:
        yield invalid_value(at, list(actions), DENY_AND_WARN)
    if not actions:
        yield required(at, "at least one validation action is required")
