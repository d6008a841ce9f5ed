"""What can be wrong with a PersistentVolumeClaim's spec, also where a pod brings a template of one.

From pkg/apis/core/validation (ValidatePersistentVolumeClaimSpec).
"""

from collections.abc import Sequence

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import label_selector, name_is_dns_label, name_is_dns_subdomain, subdomain

Errors = list[FieldError]

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
POSITIVE = "must be greater than zero"


def validate_access_modes(modes: Sequence[str], path: str, errors: Errors) -> None:
    errors += [not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    others = any(mode in ACCESS_MODES and mode != "ReadWriteOncePod" for mode in modes)
    if others and "ReadWriteOncePod" in modes:
        errors.append(forbidden_value(path, "may not use ReadWriteOncePod with other access modes"))


def validate_volume_mode(spec: Object, path: str, errors: Errors) -> None:
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))


def class_name(name: str, path: str) -> list[FieldError]:
    return [invalid_value(path, name, why) for why in name_is_dns_subdomain(name)]


def validate_claim_spec(
    spec: Object, path: str, errors: Errors, *, any_selector: bool = False, any_group: bool = False
) -> None:
    """`any_selector`, `any_group`: bad values in the selector, bad API groups of data sources were there before."""
    modes = spec.get("accessModes") or ()
    if not modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.get("selector") is not None:
        errors += label_selector(spec["selector"], f"{path}.selector", any_value=any_selector)
    validate_access_modes(modes, f"{path}.accessModes", errors)
    storage, at = ((spec.get("resources") or {}).get("requests") or {}).get("storage"), f"{path}.resources[storage]"
    if storage is None:
        errors.append(required(at))
    elif (quantity := Quantity(storage)) <= ZERO:
        errors.append(invalid_value(at, str(quantity), POSITIVE))
    if name := spec.get("storageClassName"):
        errors += class_name(name, f"{path}.storageClassName")
    validate_volume_mode(spec, path, errors)
    _data_sources(spec, path, errors, any_group=any_group)
    if name := spec.get("volumeAttributesClassName"):
        errors += class_name(name, f"{path}.volumeAttributesClassName")


def _data_sources(spec: Object, path: str, errors: Errors, *, any_group: bool) -> None:
    old, new = spec.get("dataSource"), spec.get("dataSourceRef")
    if old is not None:
        _data_source(old, f"{path}.dataSource", errors, any_group=any_group)
    if new is not None:
        _data_source(new, f"{path}.dataSourceRef", errors, any_group=any_group)
        if namespace := new.get("namespace"):
            at = f"{path}.dataSourceRef.namespace"
            errors += [invalid_value(at, namespace, why) for why in name_is_dns_label(namespace)]
    if old is None or new is None:
        return
    # Upstream quotes the field's path, a struct, where the value should be.
    if new.get("namespace"):
        why = "may not be specified when dataSourceRef.namespace is specified"
        errors.append(invalid_value(path, {}, why))
    elif any(old.get(name) != new.get(name) for name in ("apiGroup", "kind", "name")):
        errors.append(invalid_value(path, {}, "must match dataSourceRef"))


def _data_source(source: Object, path: str, errors: Errors, *, any_group: bool) -> None:
    group, kind = source.get("apiGroup") or "", source.get("kind") or ""
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    if not kind:
        errors.append(required(f"{path}.kind"))
    if not group and kind != "PersistentVolumeClaim":
        why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid_value(path, kind, why))
    if group and not any_group:
        errors += [invalid_value(f"{path}.apiGroup", group, why) for why in subdomain(group)]
