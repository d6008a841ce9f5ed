"""CSI drivers, where they run, what they have, what they attached: defaults, validation, rows. Paths, order and
wording of pkg/apis/storage/validation."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required, too_long
from kubrick_api.formats import csi_driver_name, invalids
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import IMMUTABLE, label_selector, non_negative, qualified_name, subdomain
from kubrick_api_storage.classes import UNSET, fixed
from kubrick_api_storage.inline import validate_inline_volume

Errors = Iterator[FieldError]

GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
MODES = ("Persistent", "Ephemeral")
NEEDED = (("attachRequired", "attachedRequired"), ("podInfoOnMount",) * 2, ("storageCapacity",) * 2)
TEN_MINUTES, NODE_ID_LENGTH = 600, 256
METADATA_SIZE, MESSAGE_LENGTH = 256 * 1024, 1024
ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


class CSIDriverStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for name, value in (
            ("attachRequired", True),
            ("podInfoOnMount", False),
            ("storageCapacity", False),
            ("fsGroupPolicy", "ReadWriteOnceWithFSType"),
            ("requiresRepublish", False),
            ("seLinuxMount", False),
        ):
            if spec.get(name) is None:
                spec[name] = value
        if not spec.get("volumeLifecycleModes"):
            spec["volumeLifecycleModes"] = ["Persistent"]

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_driver(obj.get("spec") or {}))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        return [
            invalid_value(at, spec.get(name), IMMUTABLE)
            for name, at in (
                ("attachRequired", "spec.attachedRequired"),  # as Kubernetes spells it
                ("volumeLifecycleModes", "spec.volumeLifecycleModes"),
            )
            if not same(spec.get(name), before.get(name))
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        attach = spec.get("attachRequired") is not False
        return [obj["metadata"]["name"], attach, bool(spec.get("podInfoOnMount")), bool(spec.get("storageCapacity"))]


def _driver(spec: Object) -> Errors:
    for name, shown in NEEDED:
        if spec.get(name) is None:
            yield required(f"spec.{shown}")
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in GROUP_POLICIES:
        yield not_supported("spec.fsGroupPolicy", policy, GROUP_POLICIES)
    requests = spec.get("tokenRequests") or ()
    yield from _token_requests(requests)
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in MODES:
            yield not_supported("spec.volumeLifecycleModes", mode, MODES)
    if spec.get("seLinuxMount") is None:
        yield required("spec.seLinuxMount")
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        why = "must be greater than or equal to 10 seconds"
        yield invalid_value("spec.nodeAllocatableUpdatePeriodSeconds", period, why)
    if spec.get("serviceAccountTokenInSecrets") is not None and not requests:
        why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        yield invalid_value("spec.serviceAccountTokenInSecrets", spec["serviceAccountTokenInSecrets"], why)


def _token_requests(requests: Sequence[Object]) -> Errors:
    seen: set[str] = set()
    for i, request in enumerate(requests):
        at, audience, seconds = (
            f"spec.tokenRequests[{i}]",
            request.get("audience") or "",
            request.get("expirationSeconds"),
        )
        if audience in seen:
            yield duplicate(f"{at}.audience", audience)
            continue
        seen.add(audience)
        if seconds is None:
            continue
        if seconds < TEN_MINUTES:
            yield invalid_value(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds > 2**32:
            why = "may not specify a duration larger than 2^32 seconds"
            yield invalid_value(f"{at}.expirationSeconds", seconds, why)


class CSINodeStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        return list(_node_drivers((obj.get("spec") or {}).get("drivers") or ()))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        """A driver's entry stays as it is, but for how many volumes it takes."""
        drivers, before = ((each.get("spec") or {}).get("drivers") or () for each in (obj, old))
        return [
            invalid_value(
                "spec.drivers", {name: value for name, value in new.items() if name != "allocatable"}, IMMUTABLE
            )
            for was in before
            for new in drivers
            if new.get("name") == was.get("name")
            and not same({**new, "allocatable": None}, {**was, "allocatable": None})
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], len((obj.get("spec") or {}).get("drivers") or ()), age(obj, now)]


def _node_drivers(drivers: Sequence[Object]) -> Errors:
    seen: set[str] = set()
    for i, driver in enumerate(drivers):
        at, name, node = f"spec.drivers[{i}]", driver.get("name") or "", driver.get("nodeID") or ""
        yield from csi_driver_name(name, f"{at}.name")
        if not node:
            yield required(f"{at}.nodeID")
        if len(node) > NODE_ID_LENGTH:
            yield invalid_value(f"{at}.nodeID", node, f"must be {NODE_ID_LENGTH} characters or less")
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            yield from non_negative(count, f"{at}.allocatable.count")
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        keys = driver.get("topologyKeys") or []
        for j, key in enumerate(keys):
            if not key:
                yield required(at)
            if key in keys[:j]:
                yield duplicate(at, key)
            yield from invalids(at, key, qualified_name(key))


class CSIStorageCapacityStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        return _capacity(obj)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Values that were no labels' values may stay."""
        believed = bool(label_selector(old.get("nodeTopology"), ""))
        return [*_capacity(obj, any_value=believed), *fixed(obj, old, "nodeTopology", "storageClassName")]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("storageClassName") or "", str(obj.get("capacity") or UNSET)]


def _capacity(obj: Object, *, any_value: bool = False) -> list[FieldError]:
    name, capacity = obj.get("storageClassName") or "", obj.get("capacity")
    errors = label_selector(obj.get("nodeTopology"), "nodeTopology", any_value=any_value)
    errors += invalids("storageClassName", name, subdomain(name))
    if capacity is not None and Quantity(capacity).exact < 0:
        errors.append(invalid_value("capacity", str(capacity), "must be greater than or equal to 0"))
    return errors


class VolumeAttachmentStrategy(Strategy):
    status_keeps_metadata = True
    has_status = True

    def default(self, obj: Object) -> None:
        obj.setdefault("status", {}).setdefault("attached", False)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = {"attached": False}

    def validate(self, obj: Object) -> list[FieldError]:
        return [*_attachment(obj.get("spec") or {}), *_attachment_status(obj.get("status") or {})]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return fixed(obj, old, "spec")

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate_replacement(obj, old)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        return [
            obj["metadata"]["name"],
            spec.get("attacher") or "",
            (spec.get("source") or {}).get("persistentVolumeName") or "",
            spec.get("nodeName") or "",
            bool((obj.get("status") or {}).get("attached")),
            age(obj, now),
        ]


def _attachment(spec: Object) -> Errors:
    yield from csi_driver_name(spec.get("attacher") or "", "spec.attacher")
    source, at = spec.get("source") or {}, "spec.source"
    volume, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if volume is None and inline is None:
        yield required(at, ONE_SOURCE)
    elif volume is not None and inline is not None:
        yield forbidden_value(at, ONE_SOURCE)
    elif volume == "":
        yield required(f"{at}.persistentVolumeName", "must specify non empty persistentVolumeName")
    elif inline is not None:
        yield from validate_inline_volume(inline, f"{at}.inlineVolumeSpec")
    node = spec.get("nodeName") or ""
    yield from invalids("spec.nodeName", node, subdomain(node))
    if volume is not None:
        yield from invalids(f"{at}.persistentVolumeName", volume, subdomain(volume))


def _attachment_status(status: Object) -> Errors:
    metadata = status.get("attachmentMetadata") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > METADATA_SIZE:
        yield too_long("status.attachmentMetadata", METADATA_SIZE)
    for name in ("attachError", "detachError"):
        error = status.get(name) or {}
        if len((error.get("message") or "").encode()) > MESSAGE_LENGTH:
            yield too_long(f"status.{name}.message", MESSAGE_LENGTH)
        code = error.get("errorCode")
        if code is not None and code < 0:
            yield invalid_value(f"status.{name}.errorCode", code, "must be between 0 and 2147483647, inclusive")
