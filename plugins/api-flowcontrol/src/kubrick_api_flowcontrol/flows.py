"""FlowSchemas and priority levels: defaults, the main rules, rows. From pkg/apis/flowcontrol."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age
from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy

PRECEDENCE, HIGHEST_PRECEDENCE = 1000, 10000


class FlowSchemaStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("matchingPrecedence"):
            spec["matchingPrecedence"] = PRECEDENCE

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors, precedence = [], spec.get("matchingPrecedence") or 0
        if precedence <= 0:
            errors.append(invalid_value("spec.matchingPrecedence", precedence, "must be a positive value"))
        if precedence > HIGHEST_PRECEDENCE:
            why = f"must not be greater than {HIGHEST_PRECEDENCE}"
            errors.append(invalid_value("spec.matchingPrecedence", precedence, why))
        if not (spec.get("priorityLevelConfiguration") or {}).get("name"):
            errors.append(required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        conditions = (obj.get("status") or {}).get("conditions") or ()
        dangling = next((c.get("status") for c in conditions if c.get("type") == "Dangling"), "?")
        return [
            obj["metadata"]["name"],
            (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
            str(spec.get("matchingPrecedence") or 0),
            (spec.get("distinguisherMethod") or {}).get("type") or NONE,
            age(obj, now),
            dangling or "?",
        ]


class PriorityLevelStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if (limited := spec.get("limited")) is not None:
            _fill(limited, (("nominalConcurrencyShares", 30), ("lendablePercent", 0)))
            queuing = limited.setdefault("limitResponse", {}).get("queuing")
            if queuing is not None:
                _fill(queuing, (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)))
        if (exempt := spec.get("exempt")) is not None:
            _fill(exempt, (("nominalConcurrencyShares", 0), ("lendablePercent", 0)))

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        kind = spec.get("type")
        if kind not in ("Exempt", "Limited"):
            return [not_supported("spec.type", kind or "", ("Exempt", "Limited"))]
        if kind == "Limited" and spec.get("limited") is None:
            return [required("spec.limited", "must not be empty when type is Limited")]
        return []

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        limits = spec.get("limited") or spec.get("exempt") or {}
        queuing = (limits.get("limitResponse") or {}).get("queuing") or {}
        return [
            obj["metadata"]["name"],
            spec.get("type") or "",
            str(limits.get("nominalConcurrencyShares", NONE)),
            str(queuing.get("queues", NONE)),
            str(queuing.get("handSize", NONE)),
            str(queuing.get("queueLengthLimit", NONE)),
            age(obj, now),
        ]


def _fill(obj: Object, defaults: tuple[tuple[str, int], ...]) -> None:
    for name, value in defaults:
        if obj.get(name) is None:
            obj[name] = value
