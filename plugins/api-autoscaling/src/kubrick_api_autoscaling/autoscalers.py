"""HorizontalPodAutoscalers: defaults, validation and rows. Stored as v2. From pkg/apis/autoscaling."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import UNKNOWN, age
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object, Strategy

CPU_TARGET = 80
TYPES = {"Resource": "resource", "Pods": "pods", "Object": "object", "External": "external"} | {
    "ContainerResource": "containerResource"
}
FIFTEEN_SECONDS = 15


class AutoscalerStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("minReplicas") is None:
            spec["minReplicas"] = 1
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": CPU_TARGET}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        if (behavior := spec.get("behavior")) is not None:
            _default_behavior(behavior)

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj.get("spec") or {}))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        target = spec.get("scaleTargetRef") or {}
        return [
            obj["metadata"]["name"],
            f"{target.get('kind', '')}/{target.get('name', '')}",
            _metrics(spec.get("metrics") or (), status.get("currentMetrics") or ()),
            str(spec.get("minReplicas") if spec.get("minReplicas") is not None else "<unset>"),
            str(spec.get("maxReplicas") or 0),
            str(status.get("currentReplicas") or 0),
            age(obj, now),
        ]


def _default_behavior(behavior: Object) -> None:
    """Scaling up at most doubles or adds four in 15 s; scaling down may take all, after five minutes."""
    every = {"periodSeconds": FIFTEEN_SECONDS}
    up = [{"type": "Pods", "value": 4, **every}, {"type": "Percent", "value": 100, **every}]
    down = [{"type": "Percent", "value": 100, **every}]
    for name, window, policies in (("scaleUp", 0, up), ("scaleDown", None, down)):
        rules = behavior.setdefault(name, {})
        if rules.get("stabilizationWindowSeconds") is None and window is not None:
            rules["stabilizationWindowSeconds"] = window
        if not rules.get("selectPolicy"):
            rules["selectPolicy"] = "Max"
        if not rules.get("policies"):
            rules["policies"] = policies


def _validate(spec: Object) -> Iterator[FieldError]:
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        yield invalid_value("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        yield invalid_value("spec.maxReplicas", high, "must be greater than 0")
    if low is not None and high < low:
        yield invalid_value("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    for name in ("kind", "name"):
        if not (spec.get("scaleTargetRef") or {}).get(name):
            yield required(f"spec.scaleTargetRef.{name}")
    for i, metric in enumerate(spec.get("metrics") or ()):
        at = f"spec.metrics[{i}]"
        if not metric.get("type"):
            yield required(f"{at}.type", "must specify a metric source type")
        elif metric["type"] in TYPES and metric.get(TYPES[metric["type"]]) is None:
            yield required(f"{at}.{TYPES[metric['type']]}", "must populate information for the given metric source")


def _metrics(wanted: Any, current: Any) -> str:
    """ "cpu: 10%/80%, memory: 5Mi/10Mi"; two metrics at most."""
    texts = [_metric(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(wanted)]
    if not texts:
        return "<none>"
    shown = ", ".join(texts[:2])
    return f"{shown} + {len(texts) - 2} more..." if len(texts) > 2 else shown


def _metric(metric: Object, status: Object) -> str:
    kind = TYPES.get(metric.get("type") or "", "")
    source, now = metric.get(kind) or {}, (status.get(kind) or {}).get("current") or {}
    target = source.get("target") or {}
    if target.get("averageUtilization") is not None:
        used = now.get("averageUtilization")
        text = f"{UNKNOWN if used is None else f'{used}%'}/{target['averageUtilization']}%"
    elif target.get("averageValue") is not None:
        text = f"{_amount(now.get('averageValue'))}/{_amount(target['averageValue'])}"
        text += " (avg)" if kind in ("external", "object") else ""
    else:
        text = f"{_amount(now.get('value'))}/{_amount(target.get('value'))}"
    return f"{source.get('name')}: {text}" if kind in ("resource", "containerResource") else text


def _amount(value: Any) -> str:
    return UNKNOWN if value is None else str(Quantity(value))
