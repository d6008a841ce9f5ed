"""What no schema of a custom resource may have, wherever in it. Wording and order are those of
ValidateCustomResourceDefinitionOpenAPISchema."""

from collections.abc import Iterator
from typing import Any

from attrs import evolve, frozen

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api_apiextensions.rules import validate_forms

Errors = Iterator[FieldError]
Schema = dict[str, Any]

X = "x-kubernetes-"
TYPES = ("array", "boolean", "integer", "number", "object", "string")
JUNCTIONS = ("allOf", "oneOf", "anyOf")
META = ("metadata", "kind", "apiVersion")
UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
IS_KEY = f"this property is in {X}list-map-keys, so it"
QUADRATIC = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
EXCLUSIVE = "additionalProperties and properties are mutual exclusive"
NOT_NULL = "type cannot be set to null, use nullable as an alternative"
IN_SET = f"must be atomic as item of a list with {X}list-type=set"


@frozen
class _Place:
    """Where a schema stands. `no_defaults`: why it may have none."""

    root: bool = False
    meta: bool = False
    no_defaults: str = ""


def junctions(schema: Schema, at: str) -> Iterator[tuple[Schema, str]]:
    """Schemas that say more of the same value."""
    if isinstance(schema.get("not"), dict):
        yield schema["not"], f"{at}.not"
    for name in JUNCTIONS:
        for i, part in enumerate(schema.get(name) or ()):
            yield part or {}, f"{at}.{name}[{i}]"


def validate_openapi(schema: Schema, at: str) -> Errors:
    yield from _anywhere(schema, at, _Place(root=True))


def _anywhere(schema: Schema, at: str, place: _Place) -> Errors:
    yield from _plain(schema, at, place)
    inside = evolve(place, root=False)
    others, properties = schema.get("additionalProperties"), schema.get("properties") or {}
    if others is not None:
        if properties and others is not True:
            yield forbidden_value(f"{at}.additionalProperties", EXCLUSIVE)
        if isinstance(others, dict):
            why = "inside additionalProperties applying to object metadata" if place.meta else place.no_defaults
            yield from _anywhere(others, f"{at}.additionalProperties", evolve(inside, no_defaults=why))
    for name, part in properties.items():
        own = inside
        if name in META and (place.root or schema.get(f"{X}embedded-resource")):
            why = f"in top-level {name}" if place.root else place.no_defaults
            own = evolve(inside, meta=True, no_defaults=why)
        yield from _anywhere(part or {}, f"{at}.properties[{name}]", own)
    for part, here in junctions(schema, at):
        yield from _anywhere(part, here, inside)
    if isinstance(schema.get("items"), dict):
        yield from _anywhere(schema["items"], f"{at}.items", inside)
    if schema.get(f"{X}preserve-unknown-fields") is False:
        yield invalid_value(f"{at}.{X}preserve-unknown-fields", False, "must be true or undefined")
    yield from _lists_and_maps(schema, at)
    yield from _entries(schema, at)
    yield from validate_forms(schema, at)


def _plain(schema: Schema, at: str, place: _Place) -> Errors:
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield not_supported(f"{at}.type", kind, TYPES)
    if schema.get("default") is not None and place.no_defaults:
        yield forbidden_value(f"{at}.default", f"must not be set {place.no_defaults}")
    for name in UNSUPPORTED:
        if schema.get(name) is not None and schema[name] not in ("", {}):
            yield forbidden_value(f"{at}.{name}", f"{name} is not supported")
    if kind == "null":
        yield forbidden_value(f"{at}.type", NOT_NULL)
    if isinstance(schema.get("items"), list):
        yield forbidden_value(f"{at}.items", "items must be a schema object and not an array")
    if place.meta and schema.get(f"{X}embedded-resource"):
        yield forbidden_value(f"{at}.{X}embedded-resource", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        yield forbidden_value(f"{at}.uniqueItems", QUADRATIC)


def _lists_and_maps(schema: Schema, at: str) -> Errors:
    kind, keys = schema.get(f"{X}list-type"), schema.get(f"{X}list-map-keys") or ()
    if (mapped := schema.get(f"{X}map-type")) is not None:
        if schema.get("type") != "object":
            yield _wrong_type(schema, at, "object", f"{X}map-type is specified")
        if mapped not in ("atomic", "granular"):
            yield not_supported(f"{at}.{X}map-type", mapped, ("atomic", "granular"))
    if kind is not None:
        if schema.get("type") != "array":
            yield _wrong_type(schema, at, "array", f"{X}list-type is specified")
        elif kind == "set" and isinstance(schema.get("items"), dict):
            yield from _set_items(schema["items"], f"{at}.items")
        if kind not in ("atomic", "set", "map"):
            yield not_supported(f"{at}.{X}list-type", kind, ("atomic", "set", "map"))
    if keys and kind != "map":
        why = f"must be map if {X}list-map-keys is non-empty"
        yield required(f"{at}.{X}list-type", why) if kind is None else invalid_value(f"{at}.{X}list-type", kind, why)
    if kind == "map":
        yield from _map_keys(schema, keys, at)


def _set_items(items: Schema, at: str) -> Errors:
    """Entries of sets are compared whole. (Of objects, too, Kubernetes shows the list's type.)"""
    kind = items.get(f"{X}list-type")
    if items.get("type") == "array" and kind not in (None, "atomic"):
        yield invalid_value(f"{at}.{X}list-type", kind, IN_SET)
    if items.get("type") == "object" and items.get(f"{X}map-type") != "atomic":
        yield invalid_value(f"{at}.{X}map-type", kind, IN_SET)


def _map_keys(schema: Schema, keys: Any, at: str) -> Errors:
    here, items = f"{at}.{X}list-map-keys", schema.get("items")
    if not keys:
        yield required(here, f"must not be empty if {X}list-type is map")
    if items is None:
        yield required(f"{at}.items", f"must have a schema if {X}list-type is map")
    if not isinstance(items, dict):
        return
    if items.get("type") != "object":
        why = f"must be object if parent array's {X}list-type is map"
        yield invalid_value(f"{at}.items.type", items.get("type") or "", why)
        return
    for i, key in enumerate(keys):
        part = (items.get("properties") or {}).get(key)
        if part is None:
            yield invalid_value(here, list(keys), "entries must all be names of item properties")
        elif part.get("type") in ("array", "object"):
            why = f"must be a scalar type if parent array's {X}list-type is map"
            yield invalid_value(f"{at}.items.properties[{key}].type", items["type"], why)
        if key in keys[:i]:
            yield invalid_value(here, list(keys), "must not contain duplicate entries")


def _entries(schema: Schema, at: str) -> Errors:
    """What tells entries apart must be there in each of them."""
    kind, items = schema.get(f"{X}list-type"), schema.get("items")
    if kind not in ("set", "map") or not isinstance(items, dict):
        return
    if items.get("nullable"):
        yield forbidden_value(f"{at}.items.nullable", f"cannot be nullable when {X}list-type is {kind}")
    for key in schema.get(f"{X}list-map-keys") or () if kind == "map" else ():
        part = (items.get("properties") or {}).get(key)
        if part is None:
            continue
        here = f"{at}.items.properties[{key}]"
        if key not in (items.get("required") or ()) and part.get("default") is None:
            yield required(f"{here}.default", f"{IS_KEY} must have a default or be a required property")
        if part.get("nullable"):
            yield forbidden_value(f"{here}.nullable", f"{IS_KEY} cannot be nullable")


def _wrong_type(schema: Schema, at: str, wanted: str, when: str) -> FieldError:
    why = f"must be {wanted} if {when}"
    kind = schema.get("type")
    return invalid_value(f"{at}.type", kind, why) if kind else required(f"{at}.type", why)
