"""HorizontalPodAutoscalers: defaults, validation and rows. Stored as v2. From pkg/apis/autoscaling."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import UNKNOWN, age
from kubrick_api.errors import FieldError
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import non_negative
from kubrick_api_autoscaling.autoscaler_validation import validate_autoscaler
from kubrick_api_autoscaling.conversion import without_carried

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
        return list(validate_autoscaler(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Who scaled to zero before may go on."""
        lowest = 0 if (old.get("spec") or {}).get("minReplicas") == 0 else 1
        return list(validate_autoscaler(obj.get("spec") or {}, lowest))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj.get("status") or {}
        names = ("currentReplicas", "desiredReplicas")
        return [error for name in names for error in non_negative(status.get(name) or 0, f"status.{name}")]

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        _drop_carried(obj)

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        super().prepare_for_update(obj, old, context)
        _drop_carried(obj)

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


def _drop_carried(obj: Object) -> None:
    """What the annotations would say, v2 says in its fields."""
    if annotations := obj["metadata"].get("annotations"):
        obj["metadata"]["annotations"] = without_carried(annotations)


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
