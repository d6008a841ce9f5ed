"""Dynamic resources: claims, their templates, classes and slices of devices. Immutability and rows."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid, invalid_value, show
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Strategy, WriteContext
from kubrick_api.validation import IMMUTABLE, annotations, labels, qualified_name
from kubrick_api_core.internal import internal
from kubrick_api_core.names import NAMESPACES
from kubrick_api_resource.claim_validation import device_place, validate_claim_spec, validate_claim_status
from kubrick_api_resource.internal import CLAIM
from kubrick_api_resource.rules import (
    MAX_CONFIGS,
    MAX_SELECTORS,
    RAW_LIMIT,
    configuration,
    each,
    known_selector,
    selector,
)
from kubrick_api_resource.slice_validation import validate_slice

CLAIM_KIND = GVK("resource.k8s.io", "v1", "ResourceClaim")
TEMPLATE_KIND = GVK("resource.k8s.io", "v1", "ResourceClaimTemplate")
ADMIN_LABEL = "resource.kubernetes.io/admin-access"
MAPPINGS = "nodeAllocatableResourceMappings"
LISTS = frozenset({"bools", "ints", "strings", "versions"})


def is_extended(name: str) -> bool:
    """Whether this is a resource that Kubernetes itself knows nothing of: acme.com/gpu."""
    domain = name.partition("/")[0]
    native = "/" not in name or domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    return not native and not name.startswith("requests.") and not qualified_name(f"requests.{name}")


def _default_requests(spec: Object) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        for exact in [request.get("exactly"), *(request.get("firstAvailable") or ())]:
            if exact is not None:
                if not exact.get("allocationMode"):
                    exact["allocationMode"] = "ExactCount"
                if exact["allocationMode"] == "ExactCount" and not exact.get("count"):
                    exact["count"] = 1


class ResourceClaimStrategy(Strategy):
    status_keeps_metadata = True
    has_status = True

    def default(self, obj: Object) -> None:
        _default_requests(obj.setdefault("spec", {}))

    def validate(self, obj: Object) -> list[FieldError]:
        return list(validate_claim_spec(obj.get("spec") or {}, "spec"))

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        super().prepare_for_update(obj, old, context)
        if context.subresource == "status":
            _forget_deallocated(obj, old)

    async def allocate(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        """Nothing is reserved here; but who may look into devices that others use, their namespace says."""
        if context.subresource == "status" and old is not None:
            if _first_admin(_results(old)) is None and (i := _first_admin(_results(obj))) is not None:
                at = f"status.allocation.devices.results[{i}].adminAccess"
                require_admin_namespace(CLAIM_KIND, obj, at, context)
        elif old is None and (i := requested_admin(obj.get("spec") or {})) is not None:
            require_admin_namespace(CLAIM_KIND, obj, f"spec.devices.requests[{i}].adminAccess", context)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """What can't change isn't looked at again."""
        spec = obj.get("spec") or {}
        return [] if same(spec, old.get("spec")) else [invalid_value("spec", internal(spec, CLAIM), IMMUTABLE)]

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

    async def allocate(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        """Nothing is reserved here: see ResourceClaimStrategy. (Kubernetes' path lacks the second spec, too.)"""
        claim = (obj.get("spec") or {}).get("spec") or {}
        if old is None and (i := requested_admin(claim)) is not None:
            require_admin_namespace(TEMPLATE_KIND, obj, f"spec.devices.requests[{i}].adminAccess", context)

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        metadata = spec.get("metadata") or {}
        errors = annotations(metadata.get("annotations"), "spec.metadata.annotations")
        errors += labels(metadata.get("labels"), "spec.metadata.labels")
        return [*errors, *validate_claim_spec(spec.get("spec") or {}, "spec.spec")]

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        if same(spec, old.get("spec")):
            return []
        shown = {**(spec.get("metadata") or {}), "Spec": internal(spec.get("spec") or {}, CLAIM)}
        return [invalid_value("spec", shown, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]


class DeviceClassStrategy(Strategy):
    tracks_generation = True

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_class(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Selectors that stay aren't compiled again; configuration that stays may be longer than new one."""
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        limit = None if same(spec.get("config"), before.get("config")) else RAW_LIMIT
        return list(_class(spec, limit, known=same(spec.get("selectors"), before.get("selectors"))))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]


class ResourceSliceStrategy(Strategy):
    tracks_generation = True

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        _drop_unserved(obj.get("spec") or {}, {})

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        super().prepare_for_update(obj, old, context)
        _drop_unserved(obj.get("spec") or {}, old.get("spec") or {})

    def validate(self, obj: Object) -> list[FieldError]:
        return list(validate_slice(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return list(validate_slice(obj.get("spec") or {}, old.get("spec") or {}))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        driver = (obj.get("spec") or {}).get("driver") or ""
        if driver == driver.lower():
            return []
        return [f"spec.driver: driver names should be lowercase; {show(driver)} contains uppercase characters"]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.nodeName": spec.get("nodeName") or "", "spec.driver": spec.get("driver") or ""}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        node = "<all>" if spec.get("allNodes") else spec.get("nodeName") or ""
        pool = (spec.get("pool") or {}).get("name") or ""
        return [obj["metadata"]["name"], node, spec.get("driver") or "", pool, age(obj, now)]


def _results(claim: Object) -> list[Object]:
    allocation = (claim.get("status") or {}).get("allocation") or {}
    return (allocation.get("devices") or {}).get("results") or []


def _first_admin(holders: Sequence[Object]) -> int | None:
    return next((i for i, holder in enumerate(holders) if holder.get("adminAccess")), None)


def requested_admin(spec: Object) -> int | None:
    """Which request of a claim is the first for devices that others use."""
    requests = (spec.get("devices") or {}).get("requests") or ()
    return _first_admin([request.get("exactly") or {} for request in requests])


def require_admin_namespace(kind: GVK, obj: Object, at: str, context: WriteContext) -> None:
    """Raises StatusError unless the object's namespace is labelled for those who look into all devices."""
    metadata = obj["metadata"]
    namespace = context.reader.get(NAMESPACES, "", metadata.get("namespace") or "")
    if ((namespace or {}).get("metadata", {}).get("labels") or {}).get(ADMIN_LABEL) != "true":
        why = f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
        raise invalid(kind, metadata.get("name") or "", [forbidden_value(at, why)])


def _forget_deallocated(claim: Object, old: Object) -> None:
    """What drivers said of devices that the claim no longer has."""
    status = claim.get("status") or {}
    gone = {device_place(result) for result in _results(old)} - {device_place(result) for result in _results(claim)}
    if not gone or not status.get("devices"):
        return
    kept = [device for device in status["devices"] if device_place(device) not in gone]
    claim["status"] = {key: value for key, value in status.items() if key != "devices"} | (
        {"devices": kept} if kept else {}
    )


def _drop_unserved(spec: Object, old: Object) -> None:
    """Fields behind gates that are closed (DRAListTypeAttributes, DRANodeAllocatableResources) go, unless they are
    in use."""
    if not any(device.get(MAPPINGS) for device in old.get("devices") or ()):
        for device in spec.get("devices") or ():
            device.pop(MAPPINGS, None)
    if not any(LISTS & attribute.keys() for attribute in _attributes(old)):
        for attribute in _attributes(spec):
            for name in LISTS:
                attribute.pop(name, None)


def _attributes(spec: Object) -> list[Object]:
    devices = spec.get("devices") or ()
    return [attribute for device in devices for attribute in (device.get("attributes") or {}).values()]


def _class(spec: Object, limit: int | None = RAW_LIMIT, *, known: bool = False) -> Iterator[FieldError]:
    yield from each(spec.get("selectors"), MAX_SELECTORS, known_selector if known else selector, "spec.selectors")

    def config(value: Object, at: str) -> Iterator[FieldError]:
        yield from configuration(value, at, limit)

    yield from each(spec.get("config"), MAX_CONFIGS, config, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        yield invalid_value("spec.extendedResourceName", name, "must be a valid extended resource name")
