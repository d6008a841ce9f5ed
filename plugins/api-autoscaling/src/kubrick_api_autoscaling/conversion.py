"""autoscaling/v1 ↔ v2. v1 knows one metric, cpu utilization; what else a v2 object says travels in annotations, in
v1's own (older) spelling, as in pkg/apis/autoscaling/v1/conversion.go, so that a v1 client loses nothing.

A metric that v1 can't spell (a target whose type contradicts it) is carried as v2 spells it. The only thing that
may change on the way is order: cpu utilization comes first.
"""

import json
from typing import Any

Object = dict[str, Any]

PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = f"{PREFIX}metrics", f"{PREFIX}behavior"
CURRENT, CONDITIONS = f"{PREFIX}current-metrics", f"{PREFIX}conditions"
CARRIED = (METRICS, BEHAVIOR, CURRENT, CONDITIONS)

# Of each source: v1's names of the metric's name and selector, of value, averageValue and averageUtilization.
SPEC_NAMES = {
    "object": ("metricName", "selector", "targetValue", "averageValue", ""),
    "pods": ("metricName", "selector", "", "targetAverageValue", ""),
    "external": ("metricName", "metricSelector", "targetValue", "targetAverageValue", ""),
    "resource": ("", "", "", "targetAverageValue", "targetAverageUtilization"),
    "containerResource": ("", "", "", "targetAverageValue", "targetAverageUtilization"),
}
AMOUNTS = ("value", "averageValue", "averageUtilization")
TYPES = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}


def _now(name: str) -> str:
    """The name in a status of what is `name` in a spec."""
    return name.replace("target", "current")


def _is_cpu(metric: Object) -> bool:
    """Whether v1's one field says all of this metric."""
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu" or len(metric) != 2:
        return False
    return set(target) == {"type", "averageUtilization"} and target["type"] == "Utilization"


def metric_to_v1(metric: Object, key: str = "target") -> Object:
    """One metric (`key` "target") or its status ("current") as v1 spells it; as it is if v1 can't."""
    old: Object = {"type": metric.get("type")}
    for kind, names in SPEC_NAMES.items():
        source = metric.get(kind)
        if source is None:
            continue
        name, selector, *amounts = names if key == "target" else tuple(map(_now, names))
        made = old[kind] = {part: source[part] for part in ("name", "container") if part in source}
        if "describedObject" in source:
            made["target"] = source["describedObject"]
        known = source.get("metric") or {}
        if name and "name" in known:
            made[name] = known["name"]
        if selector and "selector" in known:
            made[selector] = known["selector"]
        for amount, spelled in zip(AMOUNTS, amounts, strict=True):
            if spelled and amount in (source.get(key) or {}):
                made[spelled] = source[key][amount]
    return old if metric_to_v2(old, key) == metric else metric


def metric_to_v2(metric: Object, key: str = "target") -> Object:
    """The reverse; a metric that is spelled as in v2 already stays."""
    new: Object = {"type": metric.get("type")}
    for kind, names in SPEC_NAMES.items():
        source = metric.get(kind)
        if source is None:
            continue
        if "metric" in source or "current" in source or "type" in (source.get("target") or {}):
            return metric
        name, selector, *amounts = names if key == "target" else tuple(map(_now, names))
        made = new[kind] = {part: source[part] for part in ("name", "container") if part in source}
        if kind == "object":
            made["describedObject"] = source.get("target") or {}
        if name:
            made["metric"] = {"name": source.get(name) or ""}
            if selector in source:
                made["metric"]["selector"] = source[selector]
        found = {amount: source[spelled] for amount, spelled in zip(AMOUNTS, amounts, strict=True) if spelled in source}
        if "averageValue" in found and str(found.get("value")) == "0":
            del found["value"]  # v1 couldn't leave it out
        if key == "target":
            kinds = [TYPES[amount] for amount in TYPES if amount in found]
            made[key] = {"type": kinds[0] if kinds else "AverageValue", **found}
        else:
            made[key] = found
    return new


def to_v1(obj: Object) -> Object:
    """v2 → v1. The argument is shared and stays as it is."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj["metadata"])
    annotations = without_carried(metadata.get("annotations"))
    metrics = spec.pop("metrics", None) or []
    cpu = next((metric for metric in metrics if _is_cpu(metric)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        resource = metric.get("resource") or {}
        used = (resource.get("current") or {}).get("averageUtilization")
        if metric.get("type") == "Resource" and resource.get("name") == "cpu" and used is not None:
            status["currentCPUUtilizationPercentage"] = used
            break
    for name, value in (
        (METRICS, [metric_to_v1(metric) for metric in metrics if metric is not cpu]),
        (BEHAVIOR, _capitalized(spec.pop("behavior", None))),
        (CURRENT, [metric_to_v1(metric, "current") for metric in current]),
        (CONDITIONS, status.pop("conditions", None)),
    ):
        if value is not None and value != []:
            annotations[name] = json.dumps(value, separators=(",", ":"))
    _annotate(metadata, annotations)
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def to_v2(obj: Object) -> Object:
    """v1 → v2, from the annotations too. What can't be read there is dropped."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj["metadata"])
    given = metadata.get("annotations") or {}
    metrics = [metric_to_v2(metric) for metric in _read(given.get(METRICS), list)]
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if BEHAVIOR in given and (behavior := _uncapitalized(_read(given[BEHAVIOR], dict))) is not None:
        spec["behavior"] = behavior
    used = status.pop("currentCPUUtilizationPercentage", None)
    current = [metric_to_v2(metric, "current") for metric in _read(given.get(CURRENT), list)]
    if not current and used is not None:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}}]
    if current:
        status["currentMetrics"] = current
    if conditions := _read(given.get(CONDITIONS), list):
        status["conditions"] = conditions
    _annotate(metadata, without_carried(given))
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def without_carried(annotations: Any) -> dict[str, str]:
    """Annotations but for those that only carry v2's fields through v1."""
    return {name: value for name, value in (annotations or {}).items() if name not in CARRIED}


def _annotate(metadata: Object, annotations: dict[str, str]) -> None:
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)


def _read(text: str | None, kind: type) -> Any:
    """A list of objects, empty when the text is none; or an object, None when the text is none."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        found = None
    if kind is list:
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return found if isinstance(found, dict) else None


def _capitalized(value: Any) -> Any:
    """Behavior is carried in Kubernetes' internal type, whose fields have their names in Go."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _capitalized(entry) for name, entry in value.items()}
    return [_capitalized(entry) for entry in value] if isinstance(value, list) else value


def _uncapitalized(value: Any) -> Any:
    if isinstance(value, dict):
        entries = ((name, _uncapitalized(entry)) for name, entry in value.items() if entry is not None)
        return {name[:1].lower() + name[1:]: entry for name, entry in entries}
    return [_uncapitalized(entry) for entry in value] if isinstance(value, list) else value
