"""What can be wrong with a HorizontalPodAutoscaler, seen as v2. Paths, order and wording are those of
pkg/apis/autoscaling/validation."""

from collections.abc import Iterator
from typing import Any

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required, show
from kubrick_api.formats import invalids
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import name_is_dns_label, name_is_path_segment, qualified_name

Errors = Iterator[FieldError]

MAX_PERIOD, MAX_WINDOW = 1800, 3600
SELECT, POLICIES = ("Disabled", "Max", "Min"), ("Percent", "Pods")
TARGETS = ("Utilization", "Value", "AverageValue")
# In the order Kubernetes looks for them; only the first is looked into.
SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
TYPES = tuple(sorted(SOURCES))
NEITHER, BOTH = (
    "must set either a target raw value or a target utilization",
    "may not set both a target raw value and a target utilization",
)
STANDARD = ("cpu", "ephemeral-storage", "memory")


def validate_autoscaler(spec: Object, lowest: int = 1) -> Errors:
    """`lowest` is the least that minReplicas may be: 0 for those that had that already."""
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < lowest:
        yield invalid_value("spec.minReplicas", low, f"must be greater than or equal to {lowest}")
    if high < 1:
        yield invalid_value("spec.maxReplicas", high, "must be greater than 0")
    if low is not None and high < low:
        yield invalid_value("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    yield from _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    metrics = spec.get("metrics") or ()
    for i, metric in enumerate(metrics):
        yield from _metric(metric, f"spec.metrics[{i}]")
    if low == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden_value("spec.metrics", why)
    for name in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(name)
        if rules is not None:
            yield from _rules(rules, f"spec.behavior.{name}")


def _reference(reference: Object, at: str) -> Errors:
    for name in ("kind", "name"):
        value = reference.get(name) or ""
        if not value:
            yield required(f"{at}.{name}")
        yield from invalids(f"{at}.{name}", value, name_is_path_segment(value))


def _rules(rules: Object, at: str) -> Errors:
    window, select, tolerance = (rules.get(n) for n in ("stabilizationWindowSeconds", "selectPolicy", "tolerance"))
    if window is not None and window < 0:
        yield invalid_value(f"{at}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > MAX_WINDOW:
        why = f"must be less than or equal to {MAX_WINDOW}"
        yield invalid_value(f"{at}.stabilizationWindowSeconds", window, why)
    if select is not None and select not in SELECT:
        yield not_supported(f"{at}.selectPolicy", select, SELECT)
    policies = rules.get("policies") or ()
    if not policies:
        yield required(f"{at}.policies", "must specify at least one Policy")
    for i, policy in enumerate(policies):
        yield from _policy(policy, f"{at}.policies[{i}]")
    if tolerance is not None and Quantity(tolerance).exact < 0:
        yield invalid_value(f"{at}.tolerance", str(tolerance), "must be greater than or equal to 0")


def _policy(policy: Object, at: str) -> Errors:
    if policy.get("type") not in POLICIES:
        yield not_supported(f"{at}.type", policy.get("type") or "", POLICIES)
    value, period = policy.get("value") or 0, policy.get("periodSeconds") or 0
    if value <= 0:
        yield invalid_value(f"{at}.value", value, "must be greater than zero")
    if period <= 0:
        yield invalid_value(f"{at}.periodSeconds", period, "must be greater than zero")
    if period > MAX_PERIOD:
        yield invalid_value(f"{at}.periodSeconds", period, f"must be less than or equal to {MAX_PERIOD}")


def _metric(metric: Object, at: str) -> Errors:
    kind = metric.get("type") or ""
    if not kind:
        yield required(f"{at}.type", "must specify a metric source type")
    if kind not in TYPES:
        yield not_supported(f"{at}.type", kind, TYPES)
    present = [name for name in SOURCES.values() if metric.get(name) is not None]
    if present:
        yield from SOURCE_CHECKS[present[0]](metric[present[0]], f"{at}.{present[0]}")
    expected = SOURCES.get(kind, "")
    if not expected:
        yield not_supported(f"{at}.type", kind, TYPES)
    elif expected not in present:
        yield required(f"{at}.{expected}", "must populate information for the given metric source")
    if len(present) != 1:
        for name in present:
            if name != expected:
                yield forbidden_value(f"{at}.{name}", "must populate the given metric source only")


def _object(source: Object, at: str) -> Errors:
    yield from _reference(source.get("describedObject") or {}, f"{at}.describedObject")
    yield from _identifier(source.get("metric") or {}, f"{at}.metric")
    target = source.get("target") or {}
    yield from _target(target, f"{at}.target")
    if target.get("value") is None and target.get("averageValue") is None:
        yield required(f"{at}.target.averageValue", "must set either a target value or averageValue")


def _external(source: Object, at: str) -> Errors:
    yield from _identifier(source.get("metric") or {}, f"{at}.metric")
    target = source.get("target") or {}
    yield from _target(target, f"{at}.target")
    value, average = target.get("value"), target.get("averageValue")
    tail = "a target value for metric"
    if value is None and average is None:
        yield required(f"{at}.target.averageValue", f"must set either {tail} or a per-pod target")
    if value is not None and average is not None:
        yield forbidden_value(f"{at}.target.value", f"may not set both {tail} and a per-pod target")


def _pods(source: Object, at: str) -> Errors:
    yield from _identifier(source.get("metric") or {}, f"{at}.metric")
    target = source.get("target") or {}
    yield from _target(target, f"{at}.target")
    if target.get("averageValue") is None:
        yield required(f"{at}.target.averageValue", "must specify a positive target averageValue")


def _resource(source: Object, at: str) -> Errors:
    if not source.get("name"):
        yield required(f"{at}.name", "must specify a resource name")
    yield from _usage(source.get("target") or {}, f"{at}.target")


def _container_resource(source: Object, at: str) -> Errors:
    name, container = source.get("name") or "", source.get("container") or ""
    if not name:
        yield required(f"{at}.name", "must specify a resource name")
    else:
        yield from _resource_name(name, f"{at}.name")
    if not container:
        yield required(f"{at}.container", "must specify a container")
    else:
        yield from invalids(f"{at}.container", container, name_is_dns_label(container))
    yield from _usage(source.get("target") or {}, f"{at}.target")


def _resource_name(name: str, at: str) -> Errors:
    if errors := qualified_name(name):
        yield from invalids(at, name, errors)
    elif "/" not in name and name not in STANDARD and not name.startswith("hugepages-"):
        yield invalid_value(at, name, "must be a standard resource for containers")


def _usage(target: Object, at: str) -> Errors:
    yield from _target(target, at)
    utilization, average = target.get("averageUtilization"), target.get("averageValue")
    if utilization is None and average is None:
        yield required(f"{at}.averageUtilization", NEITHER)
    if utilization is not None and average is not None:
        yield forbidden_value(f"{at}.averageValue", BOTH)


def _target(target: Object, at: str) -> Errors:
    kind = target.get("type") or ""
    if not kind:
        yield required(f"{at}.type", "must specify a metric target type")
    if kind not in TARGETS:
        yield invalid_value(f"{at}.type", kind, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        amount: Any = target.get(name)
        if amount is not None and Quantity(amount).exact <= 0:
            # A quantity shows as itself, without quotes around what JSON would quote.
            yield FieldError(
                "FieldValueInvalid", f"{at}.{name}", f"Invalid value: {show(str(amount))}: must be positive"
            )
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        yield invalid_value(f"{at}.averageUtilization", percent, "must be greater than 0")


def _identifier(metric: Object, at: str) -> Errors:
    name = metric.get("name") or ""
    if not name:
        yield required(f"{at}.name", "must specify a metric name")
    yield from invalids(f"{at}.name", name, name_is_path_segment(name))


SOURCE_CHECKS = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}
