"""autoscaling/v1 ↔ v2. v1 knows one metric, cpu utilization; what else a v2 object says travels in
annotations, as in pkg/apis/autoscaling/v1/conversion.go, so that a v1 client loses nothing."""

import json
from typing import Any

Object = dict[str, Any]

PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = f"{PREFIX}metrics", f"{PREFIX}behavior"
CURRENT, CONDITIONS = f"{PREFIX}current-metrics", f"{PREFIX}conditions"


def _is_cpu(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or resource.get("current") or {}
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and "averageUtilization" in target


def to_v1(obj: Object) -> Object:
    """v2 → v1. The argument is shared and stays as it is."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj["metadata"])
    annotations = dict(metadata.get("annotations") or {})
    metrics = spec.pop("metrics", None) or []
    cpu = next((metric for metric in metrics if _is_cpu(metric)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    current = status.pop("currentMetrics", None) or []
    used = next((metric for metric in current if _is_cpu(metric)), None)
    if used is not None:
        status["currentCPUUtilizationPercentage"] = used["resource"]["current"]["averageUtilization"]
    for name, value in (
        (METRICS, [metric for metric in metrics if metric is not cpu]),
        (BEHAVIOR, spec.pop("behavior", None)),
        (CURRENT, current),
        (CONDITIONS, status.pop("conditions", None)),
    ):
        if value:
            annotations[name] = json.dumps(value, separators=(",", ":"))
    if annotations:
        metadata["annotations"] = annotations
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def to_v2(obj: Object) -> Object:
    """v1 → v2, from the annotations too."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj["metadata"])
    annotations = dict(metadata.get("annotations") or {})
    carried = {name: _read(annotations.pop(name, None)) for name in (METRICS, BEHAVIOR, CURRENT, CONDITIONS)}
    metrics = list(carried[METRICS] or [])
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if carried[BEHAVIOR]:
        spec["behavior"] = carried[BEHAVIOR]
    used = status.pop("currentCPUUtilizationPercentage", None)
    current = carried[CURRENT]
    if not current and used is not None:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}}]
    if current:
        status["currentMetrics"] = current
    if carried[CONDITIONS]:
        status["conditions"] = carried[CONDITIONS]
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def _read(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
