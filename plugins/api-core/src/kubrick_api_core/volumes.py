"""PersistentVolumes and PersistentVolumeClaims: defaults, the rules most people meet, and rows."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api_core.claim_update import (
    claim_warnings,
    keep_only_known_sources,
    pair_sources,
    validate_claim_status,
    validate_claim_update,
)
from kubrick_api_core.claim_validation import validate_claim_spec
from kubrick_api_core.persistent_volumes import validate_volume, validate_volume_update, volume_warnings

MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
UNSET = "<unset>"


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
        return validate_volume(obj)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_volume_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return volume_warnings(obj)

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
        keep_only_known_sources(obj["spec"], {})
        pair_sources(obj["spec"])

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        super().prepare_for_update(obj, old, context)
        if not context.subresource:
            keep_only_known_sources(obj.get("spec") or {}, old.get("spec") or {})

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        validate_claim_spec(obj.get("spec") or {}, "spec", errors)
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_claim_update(obj, old)

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_claim_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_claim_status(obj)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return claim_warnings(obj)

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
