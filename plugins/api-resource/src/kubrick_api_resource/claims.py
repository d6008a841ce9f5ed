"""Dynamic resources: claims, their templates, classes and slices of devices. Immutability and rows."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, invalid_value
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, annotations, labels, qualified_name
from kubrick_api_resource.claim_validation import validate_claim_spec, validate_claim_status
from kubrick_api_resource.rules import MAX_CONFIGS, MAX_SELECTORS, RAW_LIMIT, configuration, each, selector
from kubrick_api_resource.slice_validation import validate_slice


def is_extended(name: str) -> bool:
    """Whether this is a resource that Kubernetes itself knows nothing of: acme.com/gpu."""
    domain = name.partition("/")[0]
    native = "/" not in name or domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    return not native and not name.startswith("requests.") and not qualified_name(f"requests.{name}")


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

    def validate(self, obj: Object) -> list[FieldError]:
        return list(validate_claim_spec(obj.get("spec") or {}, "spec"))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """What can't change isn't looked at again."""
        return _fixed_spec(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(validate_claim_status(obj, old))

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

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        metadata = spec.get("metadata") or {}
        errors = annotations(metadata.get("annotations"), "spec.metadata.annotations")
        errors += labels(metadata.get("labels"), "spec.metadata.labels")
        return [*errors, *validate_claim_spec(spec.get("spec") or {}, "spec.spec")]

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return _fixed_spec(obj, old)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]


class DeviceClassStrategy(Strategy):
    tracks_generation = True

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_class(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Configuration that stays may be longer than new one."""
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        return list(_class(spec, None if same(spec.get("config"), before.get("config")) else RAW_LIMIT))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]


class ResourceSliceStrategy(Strategy):
    tracks_generation = True

    def validate(self, obj: Object) -> list[FieldError]:
        return list(validate_slice(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return list(validate_slice(obj.get("spec") or {}, old.get("spec") or {}))

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.nodeName": spec.get("nodeName") or "", "spec.driver": spec.get("driver") or ""}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        node = "<all>" if spec.get("allNodes") else spec.get("nodeName") or ""
        pool = (spec.get("pool") or {}).get("name") or ""
        return [obj["metadata"]["name"], node, spec.get("driver") or "", pool, age(obj, now)]


def _class(spec: Object, limit: int | None = RAW_LIMIT) -> Iterator[FieldError]:
    yield from each(spec.get("selectors"), MAX_SELECTORS, selector, "spec.selectors")

    def config(value: Object, at: str) -> Iterator[FieldError]:
        yield from configuration(value, at, limit)

    yield from each(spec.get("config"), MAX_CONFIGS, config, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        yield invalid_value("spec.extendedResourceName", name, "must be a valid extended resource name")
