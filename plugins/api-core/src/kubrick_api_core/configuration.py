"""ConfigMaps, Secrets and ServiceAccounts: what pods are configured with."""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, required, too_long
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import immutable
from kubrick_api_core.rules import config_map_key

LIMIT = 1024 * 1024
FIXED = "field is immutable when `immutable` is set"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  (a type of Secret)
# Keys that a secret's type demands in its data.
NEEDS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
# Keys whose value must be a JSON object.
WITH_JSON = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}
REDACTED = "<secret contents redacted>"


def decoded_size(text: str) -> int:
    """How many bytes base64 text stands for."""
    return len(text) // 4 * 3 - text[-2:].count("=")


def _json(data: dict[str, Any], key: str) -> list[FieldError]:
    """What a key of a secret must have: JSON, whose content no error shows."""
    if key not in data:
        return [required(f"data[{key}]")]
    raw = base64.b64decode(data[key])
    try:
        found = orjson.loads(raw)
    except ValueError:
        return [invalid_value(f"data[{key}]", REDACTED, json_complaint(raw))]
    if found is not None and not isinstance(found, dict):
        kind = "array" if isinstance(found, list) else "string" if isinstance(found, str) else "number"
        kind = "bool" if isinstance(found, bool) else kind
        why = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        return [invalid_value(f"data[{key}]", REDACTED, why)]
    return []


def json_complaint(raw: bytes) -> str:
    """What Go's decoder says of text that is no JSON."""
    text = raw.decode(errors="replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()):
            return "unexpected end of JSON input"
        return f"invalid character {text[error.pos]!r} looking for beginning of value"
    return "unexpected end of JSON input"


def _pair_warning(data: dict[str, Any]) -> str:
    """What is wrong with a TLS secret's pair, as far as its shape goes."""
    parts = [base64.b64decode(data.get(key) or "") for key in ("tls.crt", "tls.key")]
    if all(b"-----BEGIN " in part for part in parts):
        return ""
    which = "certificate" if b"-----BEGIN " not in parts[0] else "key"
    return f"tls: failed to find any PEM data in {which} input"


def frozen_errors(obj: Object, old: Object, fields: tuple[str, ...]) -> Iterator[FieldError]:
    """Once `immutable` is true it stays, and so does the content."""
    if old.get("immutable"):
        if not obj.get("immutable"):
            yield forbidden_value("immutable", FIXED)
        for name in fields:
            if not same(obj.get(name), old.get(name)):
                yield forbidden_value(name, FIXED)


class ConfigMapStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        text, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        errors: list[FieldError] = []
        size = 0
        for key, value in text.items():
            errors += [invalid_value(f"data[{key}]", key, why) for why in config_map_key(key)]
            if key in binary:
                errors.append(invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData"))
            size += len(value.encode())
        for key, value in binary.items():
            errors += [invalid_value(f"binaryData[{key}]", key, why) for why in config_map_key(key)]
            size += decoded_size(value)
        if size > LIMIT:
            errors.append(too_long("[]", LIMIT))
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return [*frozen_errors(obj, old, ("data", "binaryData")), *self.validate(obj)]

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
        data, kind = obj.get("data") or {}, obj.get("type") or ""
        errors = [invalid_value(f"data[{key}]", key, why) for key in data for why in config_map_key(key)]
        if sum(map(decoded_size, data.values())) > LIMIT:
            errors.append(too_long("data", LIMIT))
        if kind == ACCOUNT_TOKEN:
            if not (obj["metadata"].get("annotations") or {}).get(ACCOUNT_NAME):
                errors.append(required(f"metadata.annotations[{ACCOUNT_NAME}]"))
        elif kind == "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                errors += [required("data[username]"), required("data[password]")]
        elif kind == "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                errors.append(required("data[ssh-privatekey]"))
        elif kind in NEEDS:
            errors += [required(f"data[{key}]") for key in NEEDS[kind] if key not in data]
        elif kind in WITH_JSON:
            errors += _json(data, WITH_JSON[kind])
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        fixed = [*immutable(obj.get("type"), old.get("type"), "type"), *frozen_errors(obj, old, ("data",))]
        return fixed + self.validate(obj)

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate(obj) if obj.get("type") == ACCOUNT_TOKEN else []

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        if obj.get("type") != "kubernetes.io/tls":
            return []
        return [text for text in (_pair_warning(obj.get("data") or {}),) if text]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"type": obj.get("type") or ""}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("type") or "", str(len(obj.get("data") or {})), age(obj, now)]


class ServiceAccountStrategy(Strategy):
    """References to secrets are by name alone: they are in the account's namespace, whatever else is said."""

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        _by_name(obj)

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        super().prepare_for_update(obj, old, context)
        _by_name(obj)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], age(obj, now)]


def _by_name(account: Object) -> None:
    if account.get("secrets"):
        account["secrets"] = [{"name": each["name"]} if each.get("name") else {} for each in account["secrets"]]
