"""Whether a value is what a schema says: types, lengths, bounds, patterns, enumerations, junctions.

Wording is kube-openapi's (validation/errors), reasons those of apiextensions-apiserver (ValidateCustomResource).
Rules (x-kubernetes-validations) aren't evaluated.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kubrick_api.equality import identical
from kubrick_api.errors import FieldError, invalid_value, not_supported, required, too_long, too_many, type_invalid
from kubrick_api.goshow import encoded, number, quoted
from kubrick_api_apiextensions.patterns import python_pattern
from kubrick_api_apiextensions.value_formats import fits_format

Errors = Iterator[FieldError]
Schema = dict[str, Any]

NAMES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def validate_value(value: Any, schema: Schema, at: str, name: str = "") -> Errors:
    """`name` is the value's path within what is validated: "a.b[0]"."""
    yield from _type(value, schema, at, name)
    if value is None:
        return
    yield from _junctions(value, schema, at, name)
    if isinstance(value, str):
        yield from _text(value, schema, at, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, at, name)
    elif isinstance(value, list):
        yield from _list(value, schema, at, name)
    allowed = schema.get("enum")
    if allowed and not any(identical(value, one) for one in allowed):
        shown = [one if isinstance(one, str) else encoded(one) for one in allowed]
        yield not_supported(at, value, shown)
    if isinstance(value, dict):
        yield from _object(value, schema, at, name)


def _wrong(at: str, name: str, value: Any, what: str) -> FieldError:
    return invalid_value(at, value, f"{name} in body {what}")


def _type(value: Any, schema: Schema, at: str, name: str) -> Errors:
    if value is None and schema.get("nullable"):
        return
    kind, actual = schema.get("type"), "null" if value is None else NAMES[type(value)]
    if isinstance(value, float) and value.is_integer():
        actual = "integer"
    if schema.get("x-kubernetes-int-or-string"):
        kind = actual if actual in ("integer", "string") else "integer,string"
    if kind and actual != kind and not (kind == "number" and actual == "integer"):
        yield type_invalid(at, actual, f'{name} in body must be of type {kind}: "{actual}"')


def _text(value: str, schema: Schema, at: str, name: str) -> Errors:
    most, least, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if most is not None and len(value) > most:
        yield too_long(at, most)
    if least is not None and len(value) < least:
        yield _wrong(at, name, value, f"should be at least {least} chars long")
    if pattern and not re.search(python_pattern(pattern), value):
        yield _wrong(at, name, value, f"should match '{pattern}'")
    form = schema.get("format") or ""
    if not fits_format(form, value):
        yield type_invalid(at, value, f"{name} in body must be of type {form}: {quoted(value)}")


def _number(value: float, schema: Schema, at: str, name: str) -> Errors:
    step, most, least = (schema.get(field) for field in ("multipleOf", "maximum", "minimum"))
    if step and Decimal(str(value)) % Decimal(str(step)):
        yield _wrong(at, name, value, f"should be a multiple of {_bound(step)}")
    if most is not None and (value > most or (value == most and schema.get("exclusiveMaximum"))):
        how = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield _wrong(at, name, value, f"should be {how} {_bound(most)}")
    if least is not None and (value < least or (value == least and schema.get("exclusiveMinimum"))):
        how = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield _wrong(at, name, value, f"should be {how} {_bound(least)}")


def _bound(value: float) -> str:
    """A schema's numbers are floats in Go."""
    return number(float(value))


def _list(value: list[Any], schema: Schema, at: str, name: str) -> Errors:
    for i, entry in enumerate(value):
        yield from validate_value(entry, schema.get("items") or {}, f"{at}[{i}]", f"{name}[{i}]")
    most, least = schema.get("maxItems"), schema.get("minItems")
    if least is not None and len(value) < least:
        yield _wrong(at, name, len(value), f"should have at least {least} items")
    if most is not None and len(value) > most:
        yield too_many(at, len(value), most)


def _object(value: dict[str, Any], schema: Schema, at: str, name: str) -> Errors:
    dot = f"{name}." if name else ""
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if least is not None and len(value) < least:
        yield _wrong(at, name, len(value), f"should have at least {least} properties")
    if most is not None and len(value) > most:
        yield too_many(at, len(value), most)
    for key in schema.get("required") or ():
        if key not in value:
            yield required(f"{at}.{key}")
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, entry in value.items():
        part = known.get(key, others if isinstance(others, dict) else {})
        yield from validate_value(entry, part or {}, f"{at}.{key}", f"{dot}{key}")


def _junctions(value: Any, schema: Schema, at: str, name: str) -> Errors:
    def fits(part: Schema | None) -> bool:
        return not any(validate_value(value, part or {}, at, name))

    if schema.get("anyOf") and not any(map(fits, schema["anyOf"])):
        yield invalid_value(at, "", f'"{name}" must validate at least one schema (anyOf)')
        yield from validate_value(value, schema["anyOf"][0] or {}, at, name)
    if schema.get("oneOf") and (count := sum(map(fits, schema["oneOf"]))) != 1:
        found = f"Found {count} valid alternatives" if count else "Found none valid"
        yield invalid_value(at, "", f'"{name}" must validate one and only one schema (oneOf). {found}')
        if not count:
            yield from validate_value(value, schema["oneOf"][0] or {}, at, name)
    wrong = [part for part in schema.get("allOf") or () if not fits(part)]
    if wrong:
        none = ". None validated" if len(wrong) == len(schema["allOf"]) else ""
        for part in wrong:
            yield from validate_value(value, part or {}, at, name)
        yield invalid_value(at, "", f'"{name}" must validate all the schemas (allOf){none}')
    if isinstance(schema.get("not"), dict) and fits(schema["not"]):
        yield invalid_value(at, "", f'"{name}" must not validate the schema (not)')
