"""FlowSchemas and priority levels: defaults, the main rules, rows. From pkg/apis/flowcontrol."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age
from kubrick_api.errors import FieldError
from kubrick_api.resource import Object, Strategy
from kubrick_api_flowcontrol.flow_validation import validate_condition_types, validate_flow_schema
from kubrick_api_flowcontrol.level_validation import validate_priority_level

PRECEDENCE = 1000


class FlowSchemaStrategy(Strategy):
    status_keeps_metadata = True
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("matchingPrecedence"):
            spec["matchingPrecedence"] = PRECEDENCE

    def validate(self, obj: Object) -> list[FieldError]:
        return list(validate_flow_schema(obj))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(validate_condition_types(obj.get("status") or {}))

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
    status_keeps_metadata = True
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
        return list(validate_priority_level(obj))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(validate_condition_types(obj.get("status") or {}))

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
