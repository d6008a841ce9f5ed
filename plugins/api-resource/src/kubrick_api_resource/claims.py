"""Dynamic resources: claims, their templates, classes and slices of devices. Immutability and rows."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE


def _fixed_spec(obj: Object, old: Object) -> list[FieldError]:
    return [] if same(obj.get("spec"), old.get("spec")) else [invalid_value("spec", obj.get("spec"), IMMUTABLE)]


def _default_requests(spec: Object) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        for exact in [request.get("exactly"), *(request.get("firstAvailable") or ())]:
            if exact is not None:
                if not exact.get("allocationMode"):
                    exact["allocationMode"] = "ExactCount"
                if exact["allocationMode"] == "ExactCount" and not exact.get("count"):
                    exact["count"] = 1


class ResourceClaimStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        _default_requests(obj.setdefault("spec", {}))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _fixed_spec(obj, old)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        status = obj.get("status") or {}
        states = []
        if obj["metadata"].get("deletionTimestamp"):
            states.append("deleted")
        if status.get("allocation") is None:
            states.append("pending")
        else:
            states.append("allocated")
            if status.get("reservedFor"):
                states.append("reserved")
        return [obj["metadata"]["name"], ",".join(states), age(obj, now)]


class ResourceClaimTemplateStrategy(Strategy):
    def default(self, obj: Object) -> None:
        _default_requests(obj.setdefault("spec", {}).setdefault("spec", {}))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _fixed_spec(obj, old)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]


class DeviceClassStrategy(Strategy):
    tracks_generation = True

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]


class ResourceSliceStrategy(Strategy):
    tracks_generation = True

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = [] if spec.get("driver") else [required("spec.driver")]
        return errors if (spec.get("pool") or {}).get("name") else [*errors, required("spec.pool.name")]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.nodeName": spec.get("nodeName") or "", "spec.driver": spec.get("driver") or ""}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        node = "<all>" if spec.get("allNodes") else spec.get("nodeName") or ""
        pool = (spec.get("pool") or {}).get("name") or ""
        return [obj["metadata"]["name"], node, spec.get("driver") or "", pool, age(obj, now)]
