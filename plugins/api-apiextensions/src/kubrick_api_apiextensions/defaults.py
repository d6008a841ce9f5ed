"""Defaults in a schema: pruned by it, and valid by it (apiextensions-apiserver's schema/defaulting)."""

from collections.abc import Iterator
from typing import Any

from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.formats import dns1035_label
from kubrick_api_apiextensions.values import validate_value

Errors = Iterator[FieldError]
Schema = dict[str, Any]

UNKNOWN = "must not have unknown fields"
EMBEDDED = "x-kubernetes-embedded-resource"
MIXED_CASE = "may have mixed case, but should otherwise match: "
OWN = ("apiVersion", "kind", "metadata")


def validate_defaults(schema: Schema, at: str, *, inside_metadata: bool = False) -> Errors:
    value = schema.get("default")
    embedded = bool(schema.get(EMBEDDED))
    if value is not None:
        if not inside_metadata and not _pruned(value, schema):
            yield invalid_value(f"{at}.default", value, UNKNOWN)
        wrong = [*_heads(value, schema, f"{at}.default")]
        yield from wrong or validate_value(value, schema, f"{at}.default")
    if isinstance(schema.get("items"), dict):
        yield from validate_defaults(schema["items"], f"{at}.items", inside_metadata=inside_metadata and not embedded)
    for name, part in (schema.get("properties") or {}).items():
        own = (embedded and name in OWN) or (inside_metadata and not embedded)
        yield from validate_defaults(part or {}, f"{at}.properties[{name}]", inside_metadata=own)


def _heads(value: Any, schema: Schema, at: str) -> Errors:
    """Every object inside that is a whole one says what it is."""
    if isinstance(value, list):
        for i, entry in enumerate(value):
            yield from _heads(entry, schema.get("items") or {}, f"{at}[{i}]")
    if not isinstance(value, dict):
        return
    if schema.get(EMBEDDED):
        kind = value.get("kind")
        if not value.get("apiVersion"):
            yield required(f"{at}.apiVersion", "must not be empty")
        if not kind:
            yield required(f"{at}.kind", "must not be empty")
        elif isinstance(kind, str) and (errors := dns1035_label(kind.lower())):
            yield invalid_value(f"{at}.kind", kind, MIXED_CASE + ",".join(errors))
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, entry in value.items():
        if name in known:
            yield from _heads(entry, known[name] or {}, f"{at}.{name}")
        elif isinstance(others, dict):
            yield from _heads(entry, others, f"{at}[{name}]")


def _pruned(value: Any, schema: Schema) -> bool:
    """Whether pruning would leave the value as it is."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    if isinstance(value, list):
        return all(_pruned(entry, schema.get("items") or {}) for entry in value)
    if not isinstance(value, dict):
        return True
    others, known = schema.get("additionalProperties"), schema.get("properties") or {}
    if others is not None:
        return not isinstance(others, dict) or all(_pruned(entry, others) for entry in value.values())
    own = OWN if schema.get(EMBEDDED) else ()
    return all(name in own or (name in known and _pruned(entry, known[name] or {})) for name, entry in value.items())
