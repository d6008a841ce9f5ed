"""What can be wrong with where a container mounts its volumes. From pkg/apis/core/validation.

Upstream names the list, not the entry, in errors of subPath, mountPropagation and recursiveReadOnly; so do we.
"""

from collections.abc import Mapping, Sequence

from kubrick_api.errors import (
    FieldError,
    forbidden_value,
    invalid_value,
    not_found_value,
    not_supported,
    required,
)
from kubrick_api.resource import Object
from kubrick_api_core.rules import descending_path, no_backsteps

Errors = list[FieldError]

PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "Enabled", "IfPossible")
UNIQUE = "must be unique"


def validate_mounts(
    mounts: Sequence[Object],
    devices: Sequence[Object],
    volumes: Mapping[str, Object],
    container: Object,
    path: str,
    errors: Errors,
) -> None:
    points: set[str] = set()
    taken = {device.get("name") or "": device.get("devicePath") or "" for device in devices} if devices else {}
    for i, mount in enumerate(mounts):
        name, point = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(required(f"{path}[{i}].name"))
        if name not in volumes:
            errors.append(not_found_value(f"{path}[{i}].name", name))
        if not point:
            errors.append(required(f"{path}[{i}].mountPath"))
        if point in points:
            errors.append(invalid_value(f"{path}[{i}].mountPath", point, UNIQUE))
        points.add(point)
        if taken:
            if name in taken:
                errors.append(invalid_value(f"{path}[{i}].name", name, "must not already exist in volumeDevices"))
            if point in taken.values():
                why = "must not already exist as a path in volumeDevices"
                errors.append(invalid_value(f"{path}[{i}].mountPath", point, why))
        if len(mount) > 2:
            _details(mount, container, path, i, errors)


def _details(mount: Object, container: Object, path: str, i: int, errors: Errors) -> None:
    inside, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
    if inside:
        errors += descending_path(inside, f"{path}.subPath")
    if expression:
        if inside:
            why = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid_value(f"{path}[{i}].subPathExpr", expression, why))
        errors += descending_path(expression, f"{path}.subPathExpr")
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        at = f"{path}.mountPropagation"
        if propagation not in PROPAGATIONS:
            errors.append(not_supported(at, propagation, PROPAGATIONS))
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            why = "Bidirectional mount propagation is available only to privileged containers"
            errors.append(forbidden_value(at, why))
    recursive, at = mount.get("recursiveReadOnly"), f"{path}.recursiveReadOnly"
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            errors.append(forbidden_value(at, "may only be specified when readOnly is true"))
        if propagation not in (None, "None"):
            why = "may only be specified when mountPropagation is None or not specified"
            errors.append(forbidden_value(at, why))
    elif recursive not in (None, "Disabled"):
        errors.append(not_supported(at, recursive, RECURSIVE))


def validate_devices(
    devices: Sequence[Object], mounts: Sequence[Object], volumes: Mapping[str, Object], path: str, errors: Errors
) -> None:
    """volumeDevices: raw block devices, of claims only."""
    names: set[str] = set()
    points: set[str] = set()
    taken = {mount.get("name") or "": mount.get("mountPath") or "" for mount in mounts}
    for i, device in enumerate(devices):
        name, point = device.get("name") or "", device.get("devicePath") or ""
        here, there = f"{path}[{i}].name", f"{path}[{i}].devicePath"
        volume = volumes.get(name)
        if not name:
            errors.append(required(here))
        if name in names:
            errors.append(invalid_value(here, name, UNIQUE))
        if volume is not None and "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid_value(here, name, why))
        if volume is None:
            errors.append(not_found_value(here, name))
        if not point:
            errors.append(required(there))
        if point in points:
            errors.append(invalid_value(there, point, UNIQUE))
        if no_backsteps(point, there):
            errors.append(invalid_value(there, point, "can not contain backsteps ('..')"))
        else:
            points.add(point)
        if name in taken:
            errors.append(invalid_value(here, name, "must not already exist in volumeMounts"))
        if point in taken.values():
            errors.append(invalid_value(there, point, "must not already exist as a path in volumeMounts"))
        if name:
            names.add(name)
