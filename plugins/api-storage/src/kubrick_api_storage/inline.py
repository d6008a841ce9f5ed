"""A volume's spec inside a VolumeAttachment: core's rules for PersistentVolumes, and only a CSI driver's."""

from collections.abc import Iterator

from kubrick_api.errors import FieldError, forbidden_value, required
from kubrick_api.resource import Object
from kubrick_api_core.claim_validation import validate_access_modes
from kubrick_api_core.persistent_volumes import CHECKS
from kubrick_api_core.volume_sources import second_kind

NOT_INLINE = "may not be specified in the context of inline volumes"
RETAIN = "may only be Retain in the context of inline volumes"
FILESYSTEM = "may not specify volumeMode other than Filesystem in the context of inline volumes"


def validate_inline_volume(spec: Object, at: str) -> Iterator[FieldError]:
    for name in ("claimRef", "capacity"):
        if spec.get(name):
            yield forbidden_value(f"{at}.{name}", NOT_INLINE)
    if spec.get("csi") is None:
        yield required(f"{at}.csi", "has to be specified in the context of inline volumes")
    errors: list[FieldError] = []
    modes = spec.get("accessModes") or ()
    if not modes:
        errors.append(required(f"{at}.accessModes"))
    validate_access_modes(modes, f"{at}.accessModes", errors)
    if spec.get("persistentVolumeReclaimPolicy") not in (None, "", "Retain"):
        errors.append(forbidden_value(f"{at}.persistentVolumeReclaimPolicy", RETAIN))
    if spec.get("nodeAffinity") is not None:
        errors.append(forbidden_value(f"{at}.nodeAffinity", NOT_INLINE))
    kinds = [kind for kind in CHECKS if spec.get(kind) is not None]
    if not kinds:
        errors.append(required(at, "must specify a volume type"))
    for i, kind in enumerate(kinds):
        if i and kind != "flexVolume":
            errors.append(second_kind(kind, at))
        else:
            CHECKS[kind](spec[kind], f"{at}.{kind}", errors)
    yield from errors
    if spec.get("storageClassName"):
        yield forbidden_value(f"{at}.storageClassName", NOT_INLINE)
    if spec.get("volumeMode") not in (None, "Filesystem"):
        yield forbidden_value(f"{at}.volumeMode", FILESYSTEM)
