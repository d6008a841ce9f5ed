"""Defaults in a schema: pruned by it, and of its types (apiextensions-apiserver's schema/defaulting).

What else a schema asks of values (lengths, patterns, rules) is not looked at here.
"""

from collections.abc import Iterator
from typing import Any

from kubrick_api.errors import FieldError, invalid_value

Errors = Iterator[FieldError]
Schema = dict[str, Any]

UNKNOWN = "must not have unknown fields"
NAMES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def validate_defaults(schema: Schema, at: str, *, inside_metadata: bool = False) -> Errors:
    value = schema.get("default")
    if value is not None:
        if not inside_metadata and not _pruned(value, schema):
            yield invalid_value(f"{at}.default", value, UNKNOWN)
        yield from _types(value, schema, f"{at}.default", "")
    if isinstance(schema.get("items"), dict):
        yield from validate_defaults(schema["items"], f"{at}.items", inside_metadata=inside_metadata)
    for name, part in (schema.get("properties") or {}).items():
        own = inside_metadata or (
            bool(schema.get("x-kubernetes-embedded-resource")) and name in ("apiVersion", "kind", "metadata")
        )
        yield from validate_defaults(part or {}, f"{at}.properties[{name}]", inside_metadata=own)


def _pruned(value: Any, schema: Schema) -> bool:
    """Whether pruning would leave the value as it is."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return True
    if isinstance(value, list):
        return all(_pruned(entry, schema.get("items") or {}) for entry in value)
    if not isinstance(value, dict):
        return True
    others, known = schema.get("additionalProperties"), schema.get("properties") or {}
    if others is not None:
        return not isinstance(others, dict) or all(_pruned(entry, others) for entry in value.values())
    return all(name in known and _pruned(entry, known[name] or {}) for name, entry in value.items())


def _types(value: Any, schema: Schema, at: str, name: str) -> Errors:
    if value is None and schema.get("nullable"):
        return
    kind, actual = schema.get("type"), "null" if value is None else NAMES[type(value)]
    if schema.get("x-kubernetes-int-or-string"):
        kind = actual if actual in ("integer", "string") else "integer,string"
    if kind and actual != kind and not (kind == "number" and actual == "integer"):
        yield invalid_value(at, actual, f'{name} in body must be of type {kind}: "{actual}"')
        return
    dot = f"{name}." if name else ""
    if isinstance(value, dict):
        known, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, entry in value.items():
            part = known.get(key, others if isinstance(others, dict) else {})
            yield from _types(entry, part or {}, f"{at}.{key}", f"{dot}{key}")
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from _types(entry, schema.get("items") or {}, f"{at}[{i}]", f"{name}[{i}]")
