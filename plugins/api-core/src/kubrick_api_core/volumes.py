"""PersistentVolumes and PersistentVolumeClaims: defaults, the rules most people meet, and rows."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import differences, same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext

MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
UNSET = "<unset>"
# Fields of a PersistentVolume's spec that are not its source.
PLAIN = frozenset(
    (
        "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
        "storageClassName", "volumeAttributesClassName", "volumeMode",
    )
)  # fmt: skip
CLAIM_FIXED = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def modes_text(modes: Any) -> str:
    """ "RWO,RWX", in Kubernetes' order."""
    return ",".join(short for mode, short in MODES.items() if mode in (modes or ()))


def class_of(obj: Object) -> str:
    annotated = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    return annotated or (obj.get("spec") or {}).get("storageClassName") or ""


def _phase(obj: Object) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else (obj.get("status") or {}).get("phase") or ""


class PersistentVolumeStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("persistentVolumeReclaimPolicy"):
            spec["persistentVolumeReclaimPolicy"] = "Retain"
        if not spec.get("volumeMode"):
            spec["volumeMode"] = "Filesystem"
        host_path = spec.get("hostPath")
        if host_path is not None and host_path.get("type") is None:
            host_path["type"] = ""
        status = obj.setdefault("status", {})
        if not status.get("phase"):
            status["phase"] = "Pending"

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        obj["status"] = {"phase": "Pending"}

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_volume(obj.get("spec") or {}))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        kinds = {name for name in {*spec, *before} if name not in PLAIN}
        if any(not same(spec.get(name), before.get(name)) for name in kinds):
            return [
                forbidden_value(
                    "spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"
                )
            ]
        return []

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        claim = spec.get("claimRef")
        return [
            obj["metadata"]["name"],
            str((spec.get("capacity") or {}).get("storage", "0")),
            modes_text(spec.get("accessModes")),
            spec.get("persistentVolumeReclaimPolicy") or "",
            _phase(obj),
            f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
            class_of(obj),
            spec.get("volumeAttributesClassName") or UNSET,
            status.get("reason") or "",
            age(obj, now),
            spec.get("volumeMode") or UNSET,
        ]


def _modes(spec: Object) -> Iterator[FieldError]:
    modes = spec.get("accessModes") or ()
    for mode in modes:
        if mode not in MODES:
            yield not_supported("spec.accessModes", mode, sorted(MODES))
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden_value("spec.accessModes", "may not use ReadWriteOncePod with other access modes")
    if spec.get("volumeMode") not in (None, "", "Block", "Filesystem"):
        yield not_supported("spec.volumeMode", spec["volumeMode"], ("Block", "Filesystem"))


def _volume(spec: Object) -> Iterator[FieldError]:
    if not spec.get("accessModes"):
        yield required("spec.accessModes")
    yield from _modes(spec)
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield required("spec.capacity")
    elif "storage" not in capacity or len(capacity) > 1:
        yield not_supported("spec.capacity", capacity, ("storage",))
    elif Quantity(capacity["storage"]) <= ZERO:
        yield invalid_value("spec.capacity[storage]", str(capacity["storage"]), "must be greater than zero")
    if spec.get("persistentVolumeReclaimPolicy") not in ("Delete", "Recycle", "Retain"):
        yield not_supported(
            "spec.persistentVolumeReclaimPolicy",
            spec.get("persistentVolumeReclaimPolicy"),
            ("Delete", "Recycle", "Retain"),
        )
    kinds = [name for name, source in spec.items() if name not in PLAIN and source is not None]
    if not kinds:
        yield required("spec", "must specify a volume type")
    for extra in kinds[1:]:
        yield forbidden_value(f"spec.{extra}", "may not specify more than 1 volume type")


class PersistentVolumeClaimStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("volumeMode"):
            spec["volumeMode"] = "Filesystem"
        status = obj.setdefault("status", {})
        if not status.get("phase"):
            status["phase"] = "Pending"

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        obj["status"] = {"phase": "Pending"}

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = [] if spec.get("accessModes") else [required("spec.accessModes", "at least 1 access mode is required")]
        errors += _modes(spec)
        storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
        if storage is None:
            errors.append(required("spec.resources[storage]"))
        elif Quantity(storage) <= ZERO:
            errors.append(invalid_value("spec.resources[storage]", str(storage), "must be greater than zero"))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_claim_update(obj, old))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        bound = bool(spec.get("volumeName"))
        return [
            obj["metadata"]["name"],
            _phase(obj),
            spec.get("volumeName") or "",
            str((status.get("capacity") or {}).get("storage", "0")) if bound else "",
            modes_text(status.get("accessModes")) if bound else "",
            class_of(obj),
            spec.get("volumeAttributesClassName") or UNSET,
            age(obj, now),
            spec.get("volumeMode") or UNSET,
        ]


def _claim_update(obj: Object, old: Object) -> Iterator[FieldError]:
    """A claim is fixed, but for its volume's name before it is bound and more room after."""
    spec, before = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if not before.get("volumeName"):
        before["volumeName"] = spec.get("volumeName")
    if not before.get("storageClassName"):
        before["storageClassName"] = spec.get("storageClassName")
    before["volumeAttributesClassName"] = spec.get("volumeAttributesClassName")
    new = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    was = ((before.get("resources") or {}).get("requests") or {}).get("storage")
    if bound:
        recorded = ((old.get("status") or {}).get("capacity") or {}).get("storage", was)
        if (
            new is not None
            and was is not None
            and Quantity(new) < Quantity(was)
            and Quantity(new) < Quantity(recorded or was)
        ):
            yield forbidden_value("spec.resources.requests.storage", "field can not be less than status.capacity")
        before["resources"] = spec.get("resources")
    if changed := differences(before, spec):
        listed = "\n".join(changed)
        yield forbidden_value("spec", f"{CLAIM_FIXED}\n{listed}\n")
