"""Storage classes, CSI drivers and nodes, attachments: defaults, the main rules, rows."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE

UNSET = "<unset>"
RECLAIM = ("Delete", "Retain")
BINDING = ("Immediate", "WaitForFirstConsumer")


def fixed(obj: Object, old: Object, *fields: str) -> list[FieldError]:
    """These top-level fields can't change."""
    return [invalid_value(name, obj.get(name), IMMUTABLE) for name in fields if not same(obj.get(name), old.get(name))]


class StorageClassStrategy(Strategy):
    def default(self, obj: Object) -> None:
        if not obj.get("reclaimPolicy"):
            obj["reclaimPolicy"] = "Delete"
        if not obj.get("volumeBindingMode"):
            obj["volumeBindingMode"] = "Immediate"

    def validate(self, obj: Object) -> list[FieldError]:
        errors = [] if obj.get("provisioner") else [required("provisioner")]
        if obj.get("reclaimPolicy") not in RECLAIM:
            errors.append(not_supported("reclaimPolicy", obj.get("reclaimPolicy"), RECLAIM))
        if obj.get("volumeBindingMode") not in BINDING:
            errors.append(not_supported("volumeBindingMode", obj.get("volumeBindingMode"), BINDING))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = []
        if not same(obj.get("parameters"), old.get("parameters")):
            errors.append(forbidden_value("parameters", "updates to parameters are forbidden."))
        if obj.get("provisioner") != old.get("provisioner"):
            errors.append(forbidden_value("provisioner", "updates to provisioner are forbidden."))
        if obj.get("reclaimPolicy") != old.get("reclaimPolicy"):
            errors.append(forbidden_value("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
        return errors + fixed(obj, old, "volumeBindingMode")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        name = obj["metadata"]["name"]
        annotations = obj["metadata"].get("annotations") or {}
        if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
            name += " (default)"
        return [
            name,
            obj.get("provisioner") or "",
            obj.get("reclaimPolicy") or "Delete",
            obj.get("volumeBindingMode") or UNSET,
            "true" if obj.get("allowVolumeExpansion") else "false",
            age(obj, now),
        ]


class VolumeAttributesClassStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        errors = [] if obj.get("driverName") else [required("driverName")]
        return (
            errors
            if obj.get("parameters")
            else [*errors, required("parameters", "must contain at least one key/value pair")]
        )

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return fixed(obj, old, "driverName", "parameters")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        name = obj["metadata"]["name"]
        annotations = obj["metadata"].get("annotations") or {}
        if annotations.get("volumeattributesclass.kubernetes.io/is-default-class") == "true":
            name += " (default)"
        return [name, obj.get("driverName") or "", age(obj, now)]


class CSIDriverStrategy(Strategy):
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

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        attach = spec.get("attachRequired") is not False
        return [obj["metadata"]["name"], attach, bool(spec.get("podInfoOnMount")), bool(spec.get("storageCapacity"))]


class CSINodeStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        drivers = (obj.get("spec") or {}).get("drivers") or ()
        return [
            required(f"spec.drivers[{i}].{name}")
            for i, driver in enumerate(drivers)
            for name in ("name", "nodeID")
            if not driver.get(name)
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], len((obj.get("spec") or {}).get("drivers") or ()), age(obj, now)]


class CSIStorageCapacityStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        return [] if obj.get("storageClassName") else [required("storageClassName")]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return fixed(obj, old, "nodeTopology", "storageClassName")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("storageClassName") or "", str(obj.get("capacity") or UNSET)]


class VolumeAttachmentStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        obj.setdefault("status", {}).setdefault("attached", False)

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = [required(f"spec.{name}") for name in ("attacher", "nodeName") if not spec.get(name)]
        source = spec.get("source") or {}
        if source.get("persistentVolumeName") is None and source.get("inlineVolumeSpec") is None:
            why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
            errors.append(required("spec.source", why))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return fixed(obj, old, "spec")

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
