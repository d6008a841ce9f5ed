"""Which OpenAPI schemas a custom resource may have: structural ones, from which everything can be pruned, defaulted
and merged. Wording is that of apiextensions-apiserver (validation and schema).
"""

from collections.abc import Iterator
from typing import Any

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api_apiextensions.defaults import validate_defaults
from kubrick_api_apiextensions.rules import validate_forms, validate_rules

Errors = Iterator[FieldError]
Schema = dict[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
JUNCTIONS = ("allOf", "oneOf", "anyOf")
STRUCTURE = ("type", "title", "description", "default", "nullable", "additionalProperties")
X = "x-kubernetes-"
UNSUPPORTED = {
    "$ref": "ref is not supported",
    "definitions": "definitions is not supported",
    "dependencies": "dependencies is not supported",
    "id": "id is not supported",
    "patternProperties": "patternProperties is not supported",
    "additionalItems": "additionalItems is not supported",
}
IS_KEY = f"this property is in {X}list-map-keys, so it"
QUADRATIC = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"


def validate_schema(schema: Schema, at: str) -> Errors:
    """A version's openAPIV3Schema. Rules are compiled when nothing else is wrong with it."""
    errors = list(_schema(schema, at)) or list(validate_defaults(schema, at))
    yield from errors
    if not errors:
        yield from validate_rules(schema, at)


def _schema(schema: Schema, at: str) -> Errors:
    yield from _anywhere(schema, at)
    if schema.get("type") not in (None, "", "object"):
        yield invalid_value(f"{at}.type", schema["type"], "must be object at the root")
    if not schema.get("type"):
        yield required(f"{at}.type", "must not be empty at the root")
    for name in ("nullable", f"{X}int-or-string", f"{X}embedded-resource"):
        if schema.get(name):
            yield forbidden_value(f"{at}.{name}", "nullable cannot be true at the root" if name == "nullable" else "")
    yield from _structural(schema, at)
    yield from _metadata((schema.get("properties") or {}).get("metadata"), f"{at}.properties[metadata]")


def children(schema: Schema, at: str) -> Iterator[tuple[Schema, str, str]]:
    """Schemas of parts: each with its path, and what kind of part it is."""
    for name, part in (schema.get("properties") or {}).items():
        yield part or {}, f"{at}.properties[{name}]", "specified object fields"
    if isinstance(schema.get("items"), dict):
        yield schema["items"], f"{at}.items", "specified array items"
    if isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"], f"{at}.additionalProperties", "specified object fields"


def junctions(schema: Schema, at: str) -> Iterator[tuple[Schema, str]]:
    """Schemas that say more of the same value."""
    for name in JUNCTIONS:
        for i, part in enumerate(schema.get(name) or ()):
            yield part or {}, f"{at}.{name}[{i}]"
    if isinstance(schema.get("not"), dict):
        yield schema["not"], f"{at}.not"


def _anywhere(schema: Schema, at: str) -> Errors:
    """What no schema may have, wherever it is."""
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield not_supported(f"{at}.type", kind, TYPES)
    if schema.get("uniqueItems"):
        yield forbidden_value(f"{at}.uniqueItems", QUADRATIC)
    if schema.get("additionalProperties") is False:
        yield forbidden_value(f"{at}.additionalProperties", "additionalProperties cannot be set to false")
    elif schema.get("additionalProperties") is not None and schema.get("properties"):
        why = "additionalProperties and properties are mutual exclusive"
        yield forbidden_value(f"{at}.additionalProperties", why)
    for name, why in UNSUPPORTED.items():
        if schema.get(name):
            yield forbidden_value(f"{at}.{name}", why)
    if isinstance(schema.get("items"), list):
        yield forbidden_value(f"{at}.items", "items must be a schema object and not an array")
    yield from _lists_and_maps(schema, at)
    yield from validate_forms(schema, at)
    for part, here, _ in children(schema, at):
        yield from _anywhere(part, here)
    for part, here in junctions(schema, at):
        yield from _anywhere(part, here)


def _lists_and_maps(schema: Schema, at: str) -> Errors:
    kind, keys = schema.get(f"{X}list-type"), schema.get(f"{X}list-map-keys") or ()
    if kind is not None:
        if schema.get("type") != "array":
            yield _wrong_type(schema, at, "array", f"{X}list-type is specified")
        if kind not in ("atomic", "set", "map"):
            yield not_supported(f"{at}.{X}list-type", kind, ("atomic", "set", "map"))
    if kind == "map":
        yield from _map_keys(schema, keys, at)
    elif keys:
        why = f"must be map if {X}list-map-keys is non-empty"
        yield required(f"{at}.{X}list-type", why) if kind is None else invalid_value(f"{at}.{X}list-type", kind, why)
    if (kind := schema.get(f"{X}map-type")) is not None:
        if schema.get("type") != "object":
            yield _wrong_type(schema, at, "object", f"{X}map-type is specified")
        if kind not in ("granular", "atomic"):
            yield not_supported(f"{at}.{X}map-type", kind, ("granular", "atomic"))


def _map_keys(schema: Schema, keys: Any, at: str) -> Errors:
    if not keys:
        yield required(f"{at}.{X}list-map-keys", f"must not be empty if {X}list-type is map")
    items = schema.get("items")
    if not isinstance(items, dict):
        yield required(f"{at}.items", f"must have a schema if {X}list-type is map")
        return
    if items.get("type") != "object":
        yield invalid_value(f"{at}.items.type", items.get("type") or "", "must be object if parent array's "
                            f"{X}list-type is map")  # fmt: skip
    for i, key in enumerate(keys):
        part = (items.get("properties") or {}).get(key)
        if part is None:
            yield invalid_value(f"{at}.{X}list-map-keys[{i}]", key, "entries must all be names of item properties")
        elif part.get("type") in ("array", "object"):
            why = f"must be a scalar type if parent array's {X}list-type is map"
            yield invalid_value(f"{at}.items.properties[{key}].type", part["type"], why)
        else:
            yield from _map_key(part, key in (items.get("required") or ()), f"{at}.items.properties[{key}]")


def _map_key(part: Schema, needed: bool, at: str) -> Errors:
    """What tells entries apart must be there in each of them."""
    if not needed and part.get("default") is None:
        yield required(f"{at}.default", f"{IS_KEY} must have a default or be a required property")
    if part.get("nullable"):
        yield forbidden_value(f"{at}.nullable", f"{IS_KEY} cannot be nullable")


def _wrong_type(schema: Schema, at: str, wanted: str, when: str) -> FieldError:
    why = f"must be {wanted} if {when}"
    kind = schema.get("type")
    return invalid_value(f"{at}.type", kind, why) if kind else required(f"{at}.type", why)


def _structural(schema: Schema, at: str) -> Errors:
    """Every value has its type said once, outside junctions."""
    keeps, embedded = schema.get(f"{X}preserve-unknown-fields"), schema.get(f"{X}embedded-resource")
    if schema.get(f"{X}int-or-string") and schema.get("type"):
        why = f"must be empty if {X}int-or-string is true"
        yield invalid_value(f"{at}.type", schema["type"], why)
    if embedded:
        if schema.get("type") != "object":
            yield _wrong_type(schema, at, "object", f"{X}embedded-resource is true")
        if not keeps and not schema.get("properties"):
            why = f"must not be empty if {X}embedded-resource is true without {X}preserve-unknown-fields"
            yield required(f"{at}.properties", why)
    if schema.get("type") == "array" and schema.get("items") is None:
        yield required(f"{at}.items", "must be specified")
    for part, here, what in children(schema, at):
        free = part.get(f"{X}int-or-string") or part.get(f"{X}preserve-unknown-fields")
        if not part.get("type") and not free:
            yield required(f"{here}.type", f"must not be empty for {what}")
        yield from _structural(part, here)
    for part, here in junctions(schema, at):
        yield from _junction(part, schema, here, at)


def _junction(part: Schema, whole: Schema, here: str, at: str) -> Errors:
    """A junction constrains what the schema outside it describes, and describes nothing."""
    either = whole.get(f"{X}int-or-string") and part.get("type") in ("integer", "string")
    for name in STRUCTURE:
        if part.get(name) not in (None, "", False) and not (name == "type" and either):
            yield forbidden_value(f"{here}.{name}", "must be empty to be structural")
    for name in part:
        if name.startswith(X) and name != f"{X}validations" and part[name]:
            yield forbidden_value(f"{here}.{name}", "must be empty to be structural")
    for name, inner in (part.get("properties") or {}).items():
        outer = (whole.get("properties") or {}).get(name)
        if outer is None:
            where = f"{at}.properties[{name}]"
            yield required(where, f"because it is defined in {here}.properties[{name}]")
        yield from _junction(inner or {}, outer or {}, f"{here}.properties[{name}]", f"{at}.properties[{name}]")
    if isinstance(part.get("items"), dict):
        if whole.get("items") is None:
            yield required(f"{at}.items", f"because it is defined in {here}.items")
        yield from _junction(part["items"], whole.get("items") or {}, f"{here}.items", f"{at}.items")
    for inner, place in junctions(part, here):
        yield from _junction(inner, whole, place, at)


def _metadata(schema: Schema | None, at: str) -> Errors:
    """metadata is Kubernetes' own; only names may be restricted."""
    if not schema:
        return
    if schema.get("type") not in (None, "", "object"):
        yield invalid_value(f"{at}.type", schema["type"], "must be object")
    said = set(schema) - {"type", "properties", "description", "title"}
    if said or not {*(schema.get("properties") or ())} <= {"name", "generateName"}:
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden_value(at, why)
