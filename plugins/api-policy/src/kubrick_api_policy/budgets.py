"""PodDisruptionBudgets: validation and rows. From pkg/apis/policy."""

import re
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value, not_supported
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import label_selector, non_negative

PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
POLICIES = ("AlwaysAllow", "IfHealthyBudget")
COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


class PodDisruptionBudgetStrategy(Strategy):
    has_status = True
    tracks_generation = True
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def validate(self, obj: Object) -> list[FieldError]:
        spec, errors = obj.get("spec") or {}, []
        low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
        if low is not None and high is not None:
            why = "minAvailable and maxUnavailable cannot be both set"
            errors.append(invalid_value("spec", spec, why))
        for name, value in (("minAvailable", low), ("maxUnavailable", high)):
            errors += _int_or_percent(value, f"spec.{name}")
        errors += label_selector(spec.get("selector"), "spec.selector")
        policy = spec.get("unhealthyPodEvictionPolicy")
        if policy is not None and policy not in POLICIES:
            errors.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, POLICIES))
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj.get("status") or {}
        return [error for name in COUNTS for error in non_negative(status.get(name) or 0, f"status.{name}")]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            str(spec.get("minAvailable", "N/A")),
            str(spec.get("maxUnavailable", "N/A")),
            status.get("disruptionsAllowed") or 0,
            age(obj, now),
        ]


def _int_or_percent(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]+%", value):
            return [invalid_value(path, value, PERCENT)]
        return [invalid_value(path, value, "must not be greater than 100%")] if int(value[:-1]) > 100 else []
    return [] if value is None else non_negative(value, path)
