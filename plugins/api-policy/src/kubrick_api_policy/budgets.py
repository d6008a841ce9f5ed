"""PodDisruptionBudgets: validation and rows. From pkg/apis/policy."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.conditions import validate_conditions
from kubrick_api.errors import FieldError, invalid_value, not_supported
from kubrick_api.formats import at_most_whole, int_or_percent
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import label_selector, non_negative

POLICIES = ("AlwaysAllow", "IfHealthyBudget")
COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


class PodDisruptionBudgetStrategy(Strategy):
    has_status = True
    tracks_generation = True
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj.get("spec") or {}, any_value=False))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """A selector that wasn't right may have values that are no label values."""
        wrong = bool(label_selector((old.get("spec") or {}).get("selector"), ""))
        return list(_validate(obj.get("spec") or {}, any_value=wrong))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj.get("status") or {}
        counts = [error for name in COUNTS for error in non_negative(status.get(name) or 0, f"status.{name}")]
        return [*validate_conditions(status.get("conditions"), "status.conditions"), *counts]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            str(spec.get("minAvailable", "N/A")),
            str(spec.get("maxUnavailable", "N/A")),
            status.get("disruptionsAllowed") or 0,
            age(obj, now),
        ]


def _validate(spec: Object, *, any_value: bool) -> Iterator[FieldError]:
    low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
    if low is not None and high is not None:
        yield invalid_value("spec", _shown(spec), "minAvailable and maxUnavailable cannot be both set")
    for name, value in (("minAvailable", low), ("maxUnavailable", high)):
        yield from int_or_percent(value, f"spec.{name}")
        yield from at_most_whole(value, f"spec.{name}")
    yield from label_selector(spec.get("selector"), "spec.selector", any_value=any_value)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in POLICIES:
        yield not_supported("spec.unhealthyPodEvictionPolicy", policy, POLICIES)


def _shown(spec: Object) -> Object:
    """A budget as Kubernetes shows it in errors: its internal type, whose fields have their names in Go."""
    names = ("MinAvailable", "Selector", "MaxUnavailable", "UnhealthyPodEvictionPolicy")
    return {name: spec.get(name[0].lower() + name[1:]) for name in names}
