"""LimitRanges and ResourceQuotas: their defaults, rules and rows (what they do is admission's)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, required
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, qualified_name
from kubrick_api_core.internal import SCOPE_SELECTOR, internal
from kubrick_api_core.resource_validation import (
    amount,
    container_resource_name,
    is_standard_quota,
    may_overcommit,
    quota_resource_name,
    resource_name,
)

Errors = list[FieldError]

ONE = Quantity(1)
LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
SCOPES = (
    "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)  # fmt: skip
COUNTED_PODS = frozenset(("pods",))
COMPUTE = frozenset(("cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"))
STORAGE = frozenset(("persistentvolumeclaims", "requests.storage"))
PAIRS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
EXISTS_ONLY = frozenset(("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"))
EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


class LimitRangeStrategy(Strategy):
    def default(self, obj: Object) -> None:
        """For containers: default ← max, defaultRequest ← default, then min."""
        for item in (obj.get("spec") or {}).get("limits") or ():
            if item.get("type") == "Container":
                limits = {**(item.get("max") or {}), **(item.get("default") or {})}
                requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
                for name, values in (("default", limits), ("defaultRequest", requests)):
                    if values:
                        item[name] = values

    def validate(self, obj: Object) -> list[FieldError]:
        errors: Errors = []
        seen: set[str] = set()
        for i, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
            at, kind = f"spec.limits[{i}]", item.get("type") or ""
            wrong = qualified_name(kind)
            if not wrong and "/" not in kind and kind not in LIMIT_TYPES:
                wrong = ["must be a standard limit type or fully qualified"]
            errors += [invalid_value(f"{at}.type", kind, why) for why in wrong]
            if kind in seen:
                errors.append(duplicate(f"{at}.type", kind))
            seen.add(kind)
            _limits(item, kind, at, errors)
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def _limits(item: Object, kind: str, at: str, errors: Errors) -> None:
    rule = container_resource_name if kind in ("Pod", "Container") else resource_name
    found: dict[str, dict[str, Quantity]] = {}
    for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        given = item.get(name) or {}
        if name == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim" and not _bounded(found):
            why = "either minimum or maximum storage value is required, but neither was provided"
            errors.append(required(f"{at}.limits", why))
        if kind == "Pod" and name in ("default", "defaultRequest"):
            if given:
                errors.append(forbidden_value(f"{at}.{name}", "may not be specified when `type` is 'Pod'"))
            found[name] = {}
            continue
        for resource in given:
            errors += [invalid_value(f"{at}.{name}[{resource}]", resource, why) for why in rule(resource)]
        found[name] = {resource: Quantity(value) for resource, value in given.items()}
    for resource in dict.fromkeys(resource for values in found.values() for resource in values):
        amounts = {name: values[resource] for name, values in found.items() if resource in values}
        _order(resource, amounts, at, errors)


def _bounded(found: Mapping[str, Mapping[str, Quantity]]) -> bool:
    return "storage" in found["min"] or "storage" in found["max"]


# (the smaller, the larger, which of them is named, which is shown, how they are called)
ORDER = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", *["defaultRequest"] * 2, "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", *["defaultRequest"] * 2, "default request value {} is greater than max value {}"),
    (
        "defaultRequest", "default", *["defaultRequest"] * 2,
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)  # fmt: skip


def _order(resource: str, amounts: Mapping[str, Quantity], at: str, errors: Errors) -> None:
    for low, high, named, shown, text in ORDER:
        if low in amounts and high in amounts and amounts[low] > amounts[high]:
            why = text.format(amounts[low], amounts[high])
            errors.append(invalid_value(f"{at}.{named}[{resource}]", str(amounts[shown]), why))
    ratio = amounts.get("maxLimitRequestRatio")
    if ratio is not None:
        here = f"{at}.maxLimitRequestRatio[{resource}]"
        if ratio < ONE:
            errors.append(invalid_value(here, str(ratio), f"ratio {ratio} is less than 1"))
        least, highest = amounts.get("min"), amounts.get("max")
        if least is not None and highest is not None:
            most = float(highest.exact / least.exact) if least else float("inf") if highest else float("nan")
            if float(ratio.exact) > most:
                why = f"ratio {ratio} is greater than max/min = {most:f}"
                errors.append(invalid_value(here, str(ratio), why))
    limit, request = amounts.get("default"), amounts.get("defaultRequest")
    if limit is not None and request is not None and limit != request and not may_overcommit(resource):
        why = f"default value {limit} must equal to defaultRequest value {request} in {resource}"
        errors.append(invalid_value(f"{at}.defaultRequest[{resource}]", str(request), why))


class ResourceQuotaStrategy(Strategy):
    has_status = True

    def validate(self, obj: Object) -> list[FieldError]:
        errors: Errors = []
        spec = obj.get("spec") or {}
        hard = spec.get("hard") or {}
        _amounts(hard, "spec.hard", errors)
        _scopes(spec, hard, errors)
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Its scopes stay."""
        errors = self.validate(obj)
        scopes, were = ((each.get("spec") or {}).get("scopes") or [] for each in (obj, old))
        if set(scopes) != set(were):
            errors.append(invalid_value("spec.scopes", scopes or None, IMMUTABLE))
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors: Errors = []
        for kind in ("hard", "used"):
            _amounts((obj.get("status") or {}).get(kind) or {}, f"status.{kind}", errors)
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        status = obj.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        requests: list[str] = []
        limits: list[str] = []
        for name in sorted(hard):
            text = f"{name}: {used.get(name, '0')}/{hard[name]}"
            (limits if name.startswith("limits.") else requests).append(text)
        return [obj["metadata"]["name"], ", ".join(requests), ", ".join(limits), age(obj, now)]


def _amounts(amounts: Mapping[str, str], path: str, errors: Errors) -> None:
    for name, value in amounts.items():
        at = f"{path}[{name}]"
        errors += [invalid_value(at, name, why) for why in quota_resource_name(name)]
        errors += amount(name, value, at)


def scope_fits(scope: str, resource: str) -> bool:
    """Whether a scope makes sense for a resource."""
    if scope in ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass"):
        return resource in COUNTED_PODS or resource in COMPUTE
    if scope == "BestEffort":
        return resource in COUNTED_PODS
    if scope == "CrossNamespacePodAffinity":
        return resource in COUNTED_PODS or resource in COMPUTE
    if scope == "VolumeAttributesClass":
        return resource in STORAGE
    return True


def _unfit(scope: str, hard: Mapping[str, str]) -> int:
    return sum(is_standard_quota(name) and not scope_fits(scope, name) for name in hard)


def _scopes(spec: Object, hard: Mapping[str, str], errors: Errors) -> None:
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in SCOPES:
            errors.append(invalid_value("spec.scopes", scopes, "unsupported scope"))
        errors += [invalid_value("spec.scopes", scopes, "unsupported scope applied to resource")] * _unfit(scope, hard)
    errors += [
        invalid_value("spec.scopes", scopes, "conflicting scopes") for a, b in PAIRS if a in scopes and b in scopes
    ]
    selector = spec.get("scopeSelector")
    if selector is None:
        return
    at = "spec.scopeSelector.matchExpressions"
    chosen = []
    for expression in selector.get("matchExpressions") or ():
        scope, operator = expression.get("scopeName") or "", expression.get("operator") or ""
        values = expression.get("values") or []
        chosen.append(scope)
        if scope not in SCOPES:
            errors.append(invalid_value(f"{at}.scopeName", scope, "unsupported scope"))
        shown = internal(selector, SCOPE_SELECTOR)
        errors += [invalid_value(at, shown, "unsupported scope applied to resource")] * _unfit(scope, hard)
        if scope in EXISTS_ONLY and operator != "Exists":
            errors.append(invalid_value(f"{at}.operator", operator, EXISTS))
        if operator in ("In", "NotIn"):
            if not values:
                why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required(f"{at}.values", why))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(invalid_value(f"{at}.values", values, why))
        else:
            errors.append(invalid_value(f"{at}.operator", operator, "not a valid selector operator"))
    errors += [invalid_value(at, scopes or None, "conflicting scopes") for a, b in PAIRS if a in chosen and b in chosen]
