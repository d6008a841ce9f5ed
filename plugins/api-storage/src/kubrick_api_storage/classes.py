"""StorageClasses and VolumeAttributesClasses: defaults, validation, rows. Paths, order and wording of
pkg/apis/storage/validation."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required, too_long
from kubrick_api.formats import invalids
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, qualified_name

Errors = Iterator[FieldError]

UNSET = "<unset>"
RECLAIM = ("Delete", "Retain")
BINDING = ("Immediate", "WaitForFirstConsumer")
MAX_PARAMETERS, MAX_PARAMETERS_SIZE = 512, 256 * 1024


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
        return list(_storage_class(obj))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Only what may not change is looked at."""
        return fixed(obj, old, "parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")

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


def _storage_class(obj: Object) -> Errors:
    yield from _provisioner(obj.get("provisioner") or "", "provisioner")
    yield from _parameters(obj.get("parameters") or {}, "parameters", needed=False)
    if (reclaim := obj.get("reclaimPolicy")) and reclaim not in RECLAIM:
        yield not_supported("reclaimPolicy", reclaim, RECLAIM)
    mode = obj.get("volumeBindingMode")
    if mode is None:
        yield required("volumeBindingMode")
    elif mode not in BINDING:
        yield not_supported("volumeBindingMode", mode, BINDING)
    yield from _topologies(obj.get("allowedTopologies") or [])


def _provisioner(name: str, at: str) -> Errors:
    if not name:
        yield required(at)
    else:
        yield from invalids(at, name.lower(), qualified_name(name.lower()))


def _parameters(parameters: Mapping[str, str], at: str, *, needed: bool) -> Errors:
    if len(parameters) > MAX_PARAMETERS:
        yield too_long(at, MAX_PARAMETERS)
        return
    if "" in parameters:
        yield invalid_value(at, "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > MAX_PARAMETERS_SIZE:
        yield too_long(at, MAX_PARAMETERS_SIZE)
    if needed and not parameters:
        yield required(at, "must contain at least one key/value pair")


def _topologies(terms: list[Object]) -> Errors:
    """Terms are alternatives; two that say the same are one too many, and an empty one says nothing."""
    seen: list[dict[str, set[str]]] = [{} for _ in terms]
    for i, term in enumerate(terms):
        at = f"allowedTopologies[{i}].matchLabelExpressions"
        said: dict[str, set[str]] = {}
        for j, requirement in enumerate(term.get("matchLabelExpressions") or ()):
            key, values = requirement.get("key") or "", requirement.get("values") or []
            if not values:
                yield required(f"{at}[{j}].values")
            for k, value in enumerate(values):
                if value in values[:k]:
                    yield duplicate(f"{at}[{j}].values[{k}]", value)
            yield from invalids(f"{at}[{j}].key", key, qualified_name(key))
            if key in said:
                yield duplicate(f"{at}[{j}].key", key)
            said[key] = {*values}
        yield from [duplicate(at, "")] * seen.count(said)
        seen.append(said)


class VolumeAttributesClassStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        driver, parameters = obj.get("driverName") or "", obj.get("parameters") or {}
        return [*_provisioner(driver, "spec.driverName"), *_parameters(parameters, "spec.parameters", needed=True)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return [
            forbidden_value(name, f"updates to {name} are forbidden.")
            for name in ("driverName", "parameters")
            if not same(obj.get(name), old.get(name))
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        name = obj["metadata"]["name"]
        annotations = obj["metadata"].get("annotations") or {}
        if annotations.get("volumeattributesclass.kubernetes.io/is-default-class") == "true":
            name += " (default)"
        return [name, obj.get("driverName") or "", age(obj, now)]
