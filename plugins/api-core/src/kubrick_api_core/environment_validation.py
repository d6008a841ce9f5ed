"""What can be wrong with a container's environment, and with references to fields and resources.

Paths and wording are those of pkg/apis/core/validation (ValidateEnv, ValidateEnvFrom).
"""

from typing import Any

from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import label, name_is_dns_subdomain, qualified_name
from kubrick_api_core.rules import config_map_key, no_backsteps, variable_name

Errors = list[FieldError]

VARIABLE_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
# All that can be named at all, for one use or the other; spec.host is the old name of spec.nodeName.
CONVERTIBLE = frozenset(
    (*VARIABLE_FIELDS, *VOLUME_FIELDS, "spec.host", "spec.restartPolicy", "spec.schedulerName", "status.phase")
)
RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory",
    "requests.cpu", "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip
HUGE_RESOURCES = ("limits.hugepages-", "requests.hugepages-")
BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
ONE_OF = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
ONLY_ONE = "may not have more than one field specified at a time"
Check = Any


def validate_environment(variables: list[Object], path: str, errors: Errors) -> None:
    for i, variable in enumerate(variables):
        name = variable.get("name") or ""
        if not name:
            errors.append(required(f"{path}[{i}].name"))
        elif why := variable_name(name):
            errors += [invalid_value(f"{path}[{i}].name", name, text) for text in why]
        if (source := variable.get("valueFrom")) is not None:
            _source(variable, source, f"{path}[{i}].valueFrom", errors)


def _source(variable: Object, source: Object, at: str, errors: Errors) -> None:
    count = 0
    for kind, check in SOURCES.items():
        if (reference := source.get(kind)) is not None:
            count += 1
            check(reference, f"{at}.{kind}", errors)
    if not count:
        errors.append(invalid_value(at, "", ONE_OF))
    elif variable.get("value"):
        errors.append(invalid_value(at, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid_value(at, "", ONLY_ONE))


def _variable_field(reference: Object, at: str, errors: Errors) -> None:
    validate_field_reference(reference, VARIABLE_FIELDS, at, errors)


def validate_field_reference(reference: Object, fields: tuple[str, ...], at: str, errors: Errors) -> None:
    """An ObjectFieldSelector; `fields` are those that may be named here, sorted."""
    version, path = reference.get("apiVersion") or "", reference.get("fieldPath") or ""
    if not version:
        errors.append(required(f"{at}.apiVersion"))
        return
    if not path:
        errors.append(required(f"{at}.fieldPath"))
        return
    if version != "v1":
        why = f"error converting fieldPath: unsupported pod version: {version}"
        errors.append(invalid_value(f"{at}.fieldPath", path, why))
        return
    base, bracket, key = path.removesuffix("']").partition("['")
    if path.endswith("']") and bracket and base:
        if base not in ("metadata.annotations", "metadata.labels"):
            why = f"error converting fieldPath: field label does not support subscript: {path}"
            errors.append(invalid_value(f"{at}.fieldPath", path, why))
            return
        key = key.lower() if base == "metadata.annotations" else key
        errors += [invalid_value(at, key, why) for why in qualified_name(key)]
        return
    if path not in CONVERTIBLE:
        why = f"error converting fieldPath: field label not supported: {path}"
        errors.append(invalid_value(f"{at}.fieldPath", path, why))
        return
    path = "spec.nodeName" if path == "spec.host" else path
    if path not in fields:
        errors.append(not_supported(f"{at}.fieldPath", path, fields))


def _variable_resource(reference: Object, at: str, errors: Errors) -> None:
    validate_resource_reference(reference, at, errors)


def validate_resource_reference(reference: Object, at: str, errors: Errors, *, volume: bool = False) -> None:
    """A ResourceFieldSelector; in a volume it must say which container's."""
    name = reference.get("resource") or ""
    if volume and not reference.get("containerName"):
        errors.append(required(f"{at}.containerName"))
    elif not name:
        errors.append(required(f"{at}.resource"))
    elif name not in RESOURCES and not name.startswith(HUGE_RESOURCES):
        errors.append(not_supported(f"{at}.resource", name, RESOURCES))
    divisor = Quantity(reference.get("divisor") or 0)
    if divisor == ZERO:
        return
    text, why = str(divisor), ""
    if name in ("limits.cpu", "requests.cpu"):
        if text not in ("1m", "1"):
            why = "only divisor's values 1m and 1 are supported with the cpu resource"
    elif text not in BYTE_DIVISORS:
        kind = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(name.partition(".")[2], "")
        kind = kind if name in RESOURCES else "hugepages" if name.startswith(HUGE_RESOURCES) else ""
        why = f"only divisor's values {', '.join(BYTE_DIVISORS)} are supported with the {kind} resource" if kind else ""
    if why:
        errors.append(invalid_value(f"{at}.divisor", name, why))


def _key(reference: Object, at: str, errors: Errors) -> None:
    name, key = reference.get("name") or "", reference.get("key") or ""
    errors += [invalid_value(f"{at}.name", name, why) for why in name_is_dns_subdomain(name)]
    if not key:
        errors.append(required(f"{at}.key"))
    else:
        errors += [invalid_value(f"{at}.key", key, why) for why in config_map_key(key)]


def _file_key(reference: Object, at: str, errors: Errors) -> None:
    key, volume, path = (reference.get(name) or "" for name in ("key", "volumeName", "path"))
    if not key:
        errors.append(required(f"{at}.key"))
    else:
        errors += [invalid_value(f"{at}.key", key, why) for why in variable_name(key)]
    if not volume:
        errors.append(required(f"{at}.volumeName"))
    else:
        errors += [invalid_value(f"{at}.volumeName", volume, why) for why in label(volume)]
    if not path:
        errors.append(required(f"{at}.path"))
    else:
        errors += no_backsteps(path, f"{at}.path")


SOURCES: dict[str, Check] = {
    "fieldRef": _variable_field,
    "resourceFieldRef": _variable_resource,
    "configMapKeyRef": _key,
    "secretKeyRef": _key,
    "fileKeyRef": _file_key,
}


def validate_environment_sources(sources: list[Object], path: str, errors: Errors) -> None:
    """envFrom. The complaint about how many kinds there are names the list, as upstream's does."""
    for i, source in enumerate(sources):
        if prefix := source.get("prefix"):
            errors += [invalid_value(f"{path}[{i}].prefix", prefix, why) for why in variable_name(prefix)]
        count = 0
        for kind in ("configMapRef", "secretRef"):
            if (reference := source.get(kind)) is None:
                continue
            count += 1
            name = reference.get("name") or ""
            if not name:
                errors.append(required(f"{path}[{i}].{kind}.name"))
            else:
                why = name_is_dns_subdomain(name, True)
                errors += [invalid_value(f"{path}[{i}].{kind}.name", name, text) for text in why]
        if not count:
            errors.append(invalid_value(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            errors.append(invalid_value(path, "", ONLY_ONE))
