"""Which OpenAPI schemas a custom resource may have: structural ones, from which everything can be pruned, defaulted
and merged. Wording and order are those of apiextensions-apiserver (validation and schema).
"""

from collections.abc import Iterator
from typing import Any

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, required
from kubrick_api_apiextensions.defaults import validate_defaults
from kubrick_api_apiextensions.internal import ROOT_FIELDS, shown_schema
from kubrick_api_apiextensions.openapi import X, junctions, validate_openapi
from kubrick_api_apiextensions.patterns import pattern_flaw
from kubrick_api_apiextensions.rules import validate_rules

Errors = Iterator[FieldError]
Schema = dict[str, Any]

UNDEFINED, EMPTY, FALSE = (f"must be {word} to be structural" for word in ("undefined", "empty", "false"))
NO_JUNCTION_HAS = (
    ("type", EMPTY),
    ("additionalProperties", UNDEFINED),
    ("default", UNDEFINED),
    ("title", EMPTY),
    ("description", EMPTY),
    ("nullable", FALSE),
    ("externalDocs", UNDEFINED),
    (f"{X}preserve-unknown-fields", FALSE),
    (f"{X}embedded-resource", FALSE),
    (f"{X}int-or-string", FALSE),
    (f"{X}list-map-keys", EMPTY),
    (f"{X}list-type", UNDEFINED),
    (f"{X}map-type", UNDEFINED),
    (f"{X}validations", EMPTY),
)
EITHER = [{"type": "integer"}, {"type": "string"}]
ROOT, ITEMS, FIELDS = "at the root", "for specified array items", "for specified object fields"
ONLY_NAMES = "must not specify anything other than name and generateName, but metadata is implicitly specified"
OBJECT_ONLY = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
ROOT_ONLY = "fields are allowed at the root of the schema if the status subresource is enabled"


def validate_schema(schema: Schema, at: str, *, status: bool = False) -> Errors:
    """A version's openAPIV3Schema; `status`: with a status subresource. Rules are compiled when nothing else is wrong
    with it."""
    errors = list(_beside_status(schema, at)) if status else []
    if schema.get("nullable"):
        errors.append(forbidden_value(f"{at}.nullable", "nullable cannot be true at the root"))
    structural = sorted([*_structural(schema, ROOT, at), *_complete(schema, schema, at, at)], key=str)
    errors += structural or validate_defaults(schema, at)
    errors += validate_openapi(schema, at)
    yield from errors
    if not errors:
        yield from validate_rules(schema, at)


def _beside_status(schema: Schema, at: str) -> Errors:
    """A status is looked at by itself: what the root says beside its properties would be lost."""
    for name, (_, allowed) in ROOT_FIELDS.items():
        if schema.get(name) in (None, "", False, [], {}):
            continue
        if name == "type" and schema["type"] != "object":
            yield invalid_value(f"{at}.type", schema["type"], OBJECT_ONLY)
            return
        if not allowed:
            names = " ".join(go for go, allowed in ROOT_FIELDS.values() if allowed)
            yield invalid_value(at, shown_schema(schema), f"only [{names}] {ROOT_ONLY}")
            return


def _structural(schema: Schema, where: str, at: str) -> Errors:
    """Every value has its type said once, outside junctions."""
    kind, others = schema.get("type") or "", schema.get("additionalProperties")
    if kind == "array" and schema.get("items") is None:
        yield required(f"{at}.items", "must be specified")
    if isinstance(schema.get("items"), dict):
        yield from _structural(schema["items"], ITEMS, f"{at}.items")
    for name, part in (schema.get("properties") or {}).items():
        yield from _structural(part or {}, FIELDS, f"{at}.properties[{name}]")
    if others is not None:
        if where == ROOT:
            yield forbidden_value(f"{at}.additionalProperties", "must not be used at the root")
        if isinstance(others, dict):
            yield from _structural(others, FIELDS, f"{at}.additionalProperties")
    keeps, either = schema.get(f"{X}preserve-unknown-fields"), schema.get(f"{X}int-or-string")
    for name in ("preserve-unknown-fields", "embedded-resource"):
        if either and schema.get(f"{X}{name}"):
            yield invalid_value(f"{at}.{X}{name}", True, f"must be false if {X}int-or-string is true")
    yield from _said(schema, at, skip_any=schema.get("anyOf") == EITHER, skip_first=_is_first_either(schema))
    embedded = schema.get(f"{X}embedded-resource")
    if embedded and kind != "object":
        why = f"must be object if {X}embedded-resource is true"
        yield invalid_value(f"{at}.type", kind, why) if kind else required(f"{at}.type", why)
    elif not kind and not either and not keeps:
        yield required(f"{at}.type", f"must not be empty {where}")
    if embedded and others is not None:
        yield forbidden_value(f"{at}.additionalProperties", f"must not be used if {X}embedded-resource is set")
    if where == ROOT and kind not in ("", "object"):
        yield invalid_value(f"{at}.type", kind, "must be object at the root")
    yield from _own_fields(schema, where, at)
    if embedded and not keeps and not schema.get("properties"):
        why = f"must not be empty if {X}embedded-resource is true without {X}preserve-unknown-fields"
        yield required(f"{at}.properties", why)


def _own_fields(schema: Schema, where: str, at: str) -> Errors:
    """kind, apiVersion and metadata are Kubernetes' own; of metadata, only names may be restricted."""
    properties = schema.get("properties") or {}
    whole = where == ROOT or bool(schema.get(f"{X}embedded-resource"))
    wanted = {"kind": "string", "apiVersion": "string", "metadata": "object"}
    for name, kind in wanted.items():
        part = properties.get(name)
        if part is None:
            continue
        here = f"{at}.properties[{name}]"
        if whole and part.get("type") != kind:
            yield invalid_value(f"{here}.type", part.get("type") or "", f"must be {kind}")
        if name == "metadata" and where == ROOT:
            said = {key for key, value in part.items() if value not in (None, "", False, [], {})}
            names = {*(part.get("properties") or ())}
            if said - {"type", "default", "properties"} or not names <= {"name", "generateName"}:
                yield forbidden_value(here, ONLY_NAMES)


def _is_first_either(schema: Schema) -> bool:
    first = next(iter(schema.get("allOf") or ()), None) or {}
    return first.get("anyOf") == EITHER


def _said(schema: Schema, at: str, *, skip_any: bool = False, skip_first: bool = False) -> Errors:
    """What a schema says of values: its junctions and its pattern. The two spellings of int-or-string are skipped."""
    for i, part in enumerate(() if skip_any else schema.get("anyOf") or ()):
        yield from _junction(part or {}, f"{at}.anyOf[{i}]")
    for i, part in enumerate(schema.get("allOf") or ()):
        yield from _junction(part or {}, f"{at}.allOf[{i}]", skip_any=skip_first and i == 0)
    for i, part in enumerate(schema.get("oneOf") or ()):
        yield from _junction(part or {}, f"{at}.oneOf[{i}]")
    if isinstance(schema.get("not"), dict):
        yield from _junction(schema["not"], f"{at}.not")
    if flaw := pattern_flaw(schema.get("pattern") or ""):
        why = f"must be a valid regular expression, but isn't: {flaw}"
        yield invalid_value(f"{at}.pattern", schema["pattern"], why)


def _junction(part: Schema, at: str, *, skip_any: bool = False) -> Errors:
    """A junction constrains what the schema outside it describes, and describes nothing."""
    yield from _said(part, at, skip_any=skip_any)
    if isinstance(part.get("items"), dict):
        yield from _junction(part["items"], f"{at}.items")
    for name, inner in (part.get("properties") or {}).items():
        yield from _junction(inner or {}, f"{at}.properties[{name}]")
    for name, why in NO_JUNCTION_HAS:
        absent: tuple[Any, ...] = (None,) if why == UNDEFINED else (None, "", False, [])
        if part.get(name) not in absent:
            yield forbidden_value(f"{at}.{name}", why)
    if "metadata" in (part.get("properties") or {}):
        yield forbidden_value(f"{at}.properties[metadata]", "must not be specified in a nested context")


def _complete(part: Schema, whole: Schema | None, at: str, here: str) -> Errors:
    """What junctions at the root speak of is described outside them. (Kubernetes looks no deeper.)"""
    for inner, place in junctions(part, here):
        yield from _described(inner, whole, at, place)


def _described(part: Schema, whole: Schema | None, at: str, here: str) -> Errors:
    if whole is None:
        yield required(at, f"because it is defined in {here}")
        return
    yield from _complete(part, whole, at, here)
    if isinstance(part.get("items"), dict):
        yield from _described(part["items"], whole.get("items"), f"{at}.items", f"{here}.items")
    for name, inner in (part.get("properties") or {}).items():
        outer = (whole.get("properties") or {}).get(name)
        yield from _described(inner or {}, outer, f"{at}.properties[{name}]", f"{here}.properties[{name}]")
