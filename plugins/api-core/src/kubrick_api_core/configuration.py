"""ConfigMaps, Secrets and ServiceAccounts: what pods are configured with."""

import base64
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, required, too_long
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import immutable
from kubrick_api_core.rules import config_map_key

LIMIT = 1024 * 1024
FIXED = "field is immutable when `immutable` is set"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  (a type of Secret)
# Keys that a secret's type demands in its data.
NEEDS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def frozen_errors(obj: Object, old: Object, fields: tuple[str, ...]) -> Iterator[FieldError]:
    """Once `immutable` is true it stays, and so does the content."""
    if old.get("immutable"):
        if not obj.get("immutable"):
            yield forbidden_value("immutable", FIXED)
        for name in fields:
            if not same(obj.get(name), old.get(name)):
                yield forbidden_value(name, FIXED)


def _keys(data: dict[str, Any], path: str) -> Iterator[FieldError]:
    for key in data:
        for message in config_map_key(key):
            yield invalid_value(f"{path}[{key}]", key, message)


class ConfigMapStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        text, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        errors = [*_keys(text, "data"), *_keys(binary, "binaryData")]
        twice = "duplicate of key present in binaryData"
        errors += [invalid_value(f"data[{key}]", key, twice) for key in text if key in binary]
        size = sum(len(value.encode()) for value in text.values()) + sum(
            len(value) * 3 // 4 for value in binary.values()
        )
        if size > LIMIT:
            errors.append(too_long("[]", LIMIT))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(frozen_errors(obj, old, ("data", "binaryData")))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        count = len(obj.get("data") or {}) + len(obj.get("binaryData") or {})
        return [obj["metadata"]["name"], str(count), age(obj, now)]


class SecretStrategy(Strategy):
    def default(self, obj: Object) -> None:
        if not obj.get("type"):
            obj["type"] = "Opaque"
        if plain := obj.pop("stringData", None):
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
            obj["data"] = {**(obj.get("data") or {}), **encoded}

    def validate(self, obj: Object) -> list[FieldError]:
        data = obj.get("data") or {}
        errors = list(_keys(data, "data"))
        if sum(len(value) * 3 // 4 for value in data.values()) > LIMIT:
            errors.append(too_long("data", LIMIT))
        kind = obj.get("type")
        errors += [required(f"data[{key}]") for key in NEEDS.get(kind or "", ()) if key not in data]
        if kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
            errors += [required("data[username]"), required("data[password]")]
        if kind == ACCOUNT_TOKEN and not (obj["metadata"].get("annotations") or {}).get(ACCOUNT_NAME):
            errors.append(required(f"metadata.annotations[{ACCOUNT_NAME}]"))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return [*immutable(obj.get("type"), old.get("type"), "type"), *frozen_errors(obj, old, ("data",))]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"type": obj.get("type") or ""}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("type") or "", str(len(obj.get("data") or {})), age(obj, now)]


class ServiceAccountStrategy(Strategy):
    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]
