"""Leases: who leads, and which nodes live. From pkg/apis/coordination."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext

CHOSEN = ("strategy", "preferredHolder")


class LeaseStrategy(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """Leaders that the server chooses are off by default; their fields are dropped."""
        for name in CHOSEN:
            obj["spec"].pop(name, None)

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        for name in CHOSEN:
            if (old.get("spec") or {}).get(name) is None:
                obj["spec"].pop(name, None)

    def validate(self, obj: Object) -> list[FieldError]:
        spec, errors = obj.get("spec") or {}, []
        seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if seconds is not None and seconds <= 0:
            errors.append(invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            why = "must be greater than or equal to 0"
            errors.append(invalid_value("spec.leaseTransitions", transitions, why))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], (obj.get("spec") or {}).get("holderIdentity") or "", age(obj, now)]
