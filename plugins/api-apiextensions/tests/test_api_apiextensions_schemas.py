"""Schemas of custom resources: what makes them structural, what defaults must fit, how they are shown."""

from typing import Any

import pytest

from kubrick_api_apiextensions.definitions import CustomResourceDefinitionStrategy
from kubrick_api_apiextensions.openapi import EXCLUSIVE, QUADRATIC
from kubrick_api_apiextensions.patterns import pattern_flaw
from kubrick_api_apiextensions.structural import validate_schema

Object = dict[str, Any]
P = "s.properties[p]"
STRUCTURAL = "to be structural"


def said(schema: Object, **more: Any) -> list[str]:
    return [f"{error.type.removeprefix('FieldValue')} {error}" for error in validate_schema(schema, "s", **more)]


def part(**fields: Any) -> Object:
    named = {name.replace("x_", "x-kubernetes-").replace("_", "-"): value for name, value in fields.items()}
    return {"type": "object", "properties": {"p": named}}


def listed(**fields: Any) -> Object:
    return part(type="array", **fields)


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ({"x-kubernetes-preserve-unknown-fields": True}, []),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            ["Forbidden s.additionalProperties: Forbidden: must not be used at the root"],
        ),
        (
            {"type": "object", "nullable": True},
            ["Forbidden s.nullable: Forbidden: nullable cannot be true at the root"],
        ),
        (part(type="object", additionalProperties=False), []),
        (part(type="object", additionalProperties=True, properties={"a": {"type": "string"}}), []),
        (
            part(type="object", additionalProperties=False, properties={"a": {"type": "string"}}),
            [f"Forbidden {P}.additionalProperties: Forbidden: {EXCLUSIVE}"],
        ),
        (part(x_int_or_string=True, type="integer"), []),
        (
            part(x_int_or_string=True, x_preserve_unknown_fields=True),
            [
                f"Invalid {P}.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if "
                "x-kubernetes-int-or-string is true"
            ],
        ),
        (
            part(type="object", x_preserve_unknown_fields=False),
            [f"Invalid {P}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
        ),
        (
            part(type="string", x_embedded_resource=True),
            [
                f"Required {P}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true "
                "without x-kubernetes-preserve-unknown-fields",
                f'Invalid {P}.type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true',
            ],
        ),
        (
            part(type="object", x_embedded_resource=True, x_preserve_unknown_fields=True, additionalProperties=True),
            [
                f"Forbidden {P}.additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is "
                "set"
            ],
        ),
        (
            {"type": "object", "properties": {"kind": {"type": "integer"}, "metadata": {"type": "string"}}},
            [
                'Invalid s.properties[kind].type: Invalid value: "integer": must be string',
                'Invalid s.properties[metadata].type: Invalid value: "string": must be object',
            ],
        ),
        (
            part(type="string", pattern="(a"),
            [
                f'Invalid {P}.pattern: Invalid value: "(a": must be a valid regular expression, but isn\'t: error '
                "parsing regexp: missing closing ): `(a`"
            ],
        ),
        (
            part(
                type="object",
                anyOf=[
                    {
                        "title": "a",
                        "default": {},
                        "nullable": True,
                        "additionalProperties": True,
                        "properties": {"metadata": {}},
                        "x-kubernetes-list-type": "set",
                        "x-kubernetes-validations": [{"rule": "true"}],
                    }
                ],
            ),
            [
                f"Forbidden {P}.anyOf[0].title: Forbidden: must be empty {STRUCTURAL}",
                f"Forbidden {P}.anyOf[0].default: Forbidden: must be undefined {STRUCTURAL}",
                f"Forbidden {P}.anyOf[0].nullable: Forbidden: must be false {STRUCTURAL}",
                f"Forbidden {P}.anyOf[0].additionalProperties: Forbidden: must be undefined {STRUCTURAL}",
                f"Forbidden {P}.anyOf[0].x-kubernetes-list-type: Forbidden: must be undefined {STRUCTURAL}",
                f"Forbidden {P}.anyOf[0].x-kubernetes-validations: Forbidden: must be empty {STRUCTURAL}",
                f"Forbidden {P}.anyOf[0].properties[metadata]: Forbidden: must not be specified in a nested context",
                f"Required {P}.anyOf[0].type: Required value: must be array if x-kubernetes-list-type is specified",
            ],
        ),
        (
            {"type": "object", "oneOf": [{"properties": {"a": {"minLength": 1}}}], "properties": {}},
            ["Required s.properties[a]: Required value: because it is defined in s.oneOf[0].properties[a]"],
        ),
        (
            listed(items={"type": "object"}, x_list_type="set"),
            [
                f"Invalid {P}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with "
                "x-kubernetes-list-type=set"
            ],
        ),
        (
            listed(items={"type": "string", "nullable": True}, x_list_type="set"),
            [f"Forbidden {P}.items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set"],
        ),
        (
            listed(
                items={"type": "object", "required": ["a"], "properties": {"a": {"type": "object"}}},
                x_list_type="map",
                x_list_map_keys=["a", "b", "a"],
            ),
            [
                f'Invalid {P}.items.properties[a].type: Invalid value: "object": must be a scalar type if parent '
                "array's x-kubernetes-list-type is map",
                f'Invalid {P}.x-kubernetes-list-map-keys: Invalid value: ["a","b","a"]: entries must all be names of '
                "item properties",
                f'Invalid {P}.items.properties[a].type: Invalid value: "object": must be a scalar type if parent '
                "array's x-kubernetes-list-type is map",
                f'Invalid {P}.x-kubernetes-list-map-keys: Invalid value: ["a","b","a"]: must not contain duplicate '
                "entries",
            ],
        ),
        (
            {"type": "object", "properties": {"kind": {"type": "string", "default": "a"}}},
            ["Forbidden s.properties[kind].default: Forbidden: must not be set in top-level kind"],
        ),
        (
            part(type="null"),
            [
                f'NotSupported {P}.type: Unsupported value: "null": supported values: "array", "boolean", "integer", '
                '"number", "object", "string"',
                f"Forbidden {P}.type: Forbidden: type cannot be set to null, use nullable as an alternative",
            ],
        ),
    ],
)
def test_a_schema_is_structural(schema: Object, wrong: list[str]) -> None:
    found = said(schema)
    assert sorted(found) == sorted(wrong)


def test_beside_a_status_the_root_says_little() -> None:
    root: Object = {"type": "object", "description": "a", "required": ["spec"], "properties": {}}
    assert said(root, status=True) == []
    (error,) = said({**root, "minProperties": 1}, status=True)
    assert error.startswith(
        'Invalid s: Invalid value: {"ID":"","Schema":"","Ref":null,"Description":"a","Type":"object"'
    )
    assert error.endswith(
        "}: only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength "
        "Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example "
        "XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status subresource "
        "is enabled"
    )


D = f"{P}.default"
BODY = "in body"


@pytest.mark.parametrize(
    ("schema", "default", "wrong"),
    [
        (
            {"type": "integer"},
            "a",
            [f'TypeInvalid {D}: Invalid value: "string":  {BODY} must be of type integer: "string"'],
        ),
        ({"type": "number"}, 1, []),
        ({"type": "string", "nullable": True}, "a", []),
        ({"x-kubernetes-int-or-string": True}, "http", []),
        ({"type": "string", "maxLength": 1}, "ab", [f"TooLong {D}: Too long: may not be more than 1 byte"]),
        (
            {"type": "string", "minLength": 3, "pattern": "^b"},
            "ab",
            [
                f'Invalid {D}: Invalid value: "ab":  {BODY} should be at least 3 chars long',
                f"Invalid {D}: Invalid value: \"ab\":  {BODY} should match '^b'",
            ],
        ),
        (
            {"type": "string", "format": "ipv4"},
            "x",
            [f'TypeInvalid {D}: Invalid value: "x":  {BODY} must be of type ipv4: "x"'],
        ),
        ({"type": "string", "format": "anything"}, "x", []),
        (
            {"type": "string", "enum": ["b", "c"]},
            "a",
            [f'NotSupported {D}: Unsupported value: "a": supported values: "b", "c"'],
        ),
        ({"type": "integer", "enum": [1]}, 2, [f'NotSupported {D}: Unsupported value: 2: supported values: "1"']),
        (
            {"type": "integer", "minimum": 3, "exclusiveMaximum": True, "maximum": 1, "multipleOf": 2},
            1,
            [
                f"Invalid {D}: Invalid value: 1:  {BODY} should be a multiple of 2",
                f"Invalid {D}: Invalid value: 1:  {BODY} should be less than 1",
                f"Invalid {D}: Invalid value: 1:  {BODY} should be greater than or equal to 3",
            ],
        ),
        (
            {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 1},
            ["a", "bb"],
            [
                f'Invalid {D}[0]: Invalid value: "a": [0] {BODY} should be at least 2 chars long',
                f"TooMany {D}: Too many: 2: must have at most 1 item",
            ],
        ),
        (
            {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
            {"b": 1},
            [
                f"Required {D}.a: Required value",
                f'TypeInvalid {D}.b: Invalid value: "integer": b {BODY} must be of type string: "integer"',
            ],
        ),
        ({"type": "object"}, {"a": 1}, [f'Invalid {D}: Invalid value: {{"a":1}}: must not have unknown fields']),
        (
            {"type": "integer", "not": {"minimum": 1}},
            1,
            [f'Invalid {D}: Invalid value: "": "" must not validate the schema (not)'],
        ),
        (
            {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            {"kind": "-"},
            [
                f"Required {D}.apiVersion: Required value: must not be empty",
                f'Invalid {D}.kind: Invalid value: "-": may',
            ],
        ),
    ],
)
def test_a_default_fits_its_schema(schema: Object, default: Any, wrong: list[str]) -> None:
    found = said({"type": "object", "properties": {"p": {**schema, "default": default}}})
    assert len(found) == len(wrong)
    assert all(error.startswith(text) for error, text in zip(found, wrong, strict=True)), found


@pytest.mark.parametrize(
    ("pattern", "flaw"),
    [
        (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", ""),
        (r"(?i)\pL+\p{Greek}[[:alpha:]]\z", ""),
        (r"(?P<name>a)(?<other>b)\Q(\E", ""),
        ("a(?!b)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?<=a)b", "invalid or unsupported Perl syntax: `(?<=`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("x[a", "missing closing ]: `[a`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
    ],
)
def test_patterns_are_those_of_go(pattern: str, flaw: str) -> None:
    assert pattern_flaw(pattern) == (f"error parsing regexp: {flaw}" if flaw else "")


def definition(schema: Object, *fields: str) -> list[str]:
    version: Object = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    version["selectableFields"] = [{"jsonPath": path} for path in fields]
    names = {"plural": "as", "kind": "A"}
    obj: Object = {"metadata": {"name": "as.a.b"}, "spec": {"group": "a.b", "scope": "Cluster", "names": names}}
    obj = {**obj, "spec": {**obj["spec"], "versions": [version]}, "status": {"storedVersions": ["v1"]}}
    strategy = CustomResourceDefinitionStrategy()
    strategy.default(obj)
    return [str(error) for error in strategy.validate(obj)]


def test_selectable_fields_are_scalars_of_the_schema() -> None:
    names = {f"f{i}": {"type": "string"} for i in range(9)}
    spec = {"type": "object", "properties": {**names, "map": {"type": "object"}}}
    schema = {"type": "object", "properties": {"spec": spec, "metadata": {"type": "object"}}}
    assert definition(schema, ".spec.f0", ".spec.f1") == []
    scalar = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are"
    assert definition(schema, ".spec.map", ".spec.f0", ".spec.f0", ".metadata") == [
        f'spec.selectableFields[0].jsonPath: Invalid value: ".spec.map": {scalar} allowed.',
        'spec.selectableFields[2].jsonPath: Duplicate value: ".spec.f0"',
        'spec.selectableFields[3].jsonPath: Invalid value: ".metadata": must not point to fields in metadata',
        f'spec.selectableFields[3].jsonPath: Invalid value: ".metadata": {scalar} allowed.',
    ]
    many = [f".spec.f{i}" for i in range(9)]
    assert definition(schema, *many) == ["spec.selectableFields: Too many: 9: must have at most 8 items"]


def within(**fields: Any) -> Object:
    return {"type": "object", "properties": {"spec": {"type": "object", **fields}}}


S = "s.properties[spec]"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (
            within(
                properties={
                    "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "raw": {"x-kubernetes-preserve-unknown-fields": True},
                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                    "ends": {
                        "type": "array",
                        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                    },
                },
                oneOf=[{"required": ["port"]}, {"properties": {"raw": {"minProperties": 1}}}],
            ),
            [],
        ),
        ({}, ["s.type: Required value: must not be empty at the root"]),
        ({"type": "string"}, ['s.type: Invalid value: "string": must be object at the root']),
        (
            within(properties={"a": {}, "b": {"type": "array"}, "c": {"type": "array", "items": {}}}),
            [
                f"{S}.properties[a].type: Required value: must not be empty for specified object fields",
                f"{S}.properties[b].items: Required value: must be specified",
                f"{S}.properties[c].items.type: Required value: must not be empty for specified array items",
            ],
        ),
        (
            within(uniqueItems=True, additionalProperties=False, **{"$ref": "x"}),
            [
                f"{S}.$ref: Forbidden: $ref is not supported",
                f"{S}.uniqueItems: Forbidden: {QUADRATIC}",
            ],
        ),
        (
            within(anyOf=[{"type": "object", "properties": {"x": {"minLength": 1}}}]),
            [
                f"{S}.anyOf[0].type: Forbidden: must be empty to be structural",
            ],
        ),
        (
            within(**{"x-kubernetes-list-type": "set", "x-kubernetes-map-type": "x"}),
            [
                f'{S}.x-kubernetes-map-type: Unsupported value: "x": supported values: "atomic", "granular"',
                f'{S}.type: Invalid value: "object": must be array if x-kubernetes-list-type is specified',
            ],
        ),
        (
            {
                "type": "object",
                "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}},
            },
            [
                "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but "
                "metadata is implicitly specified"
            ],
        ),
    ],
)
def test_a_schema(given: Object, wrong: list[str]) -> None:
    assert [str(error) for error in validate_schema(given, "s")] == wrong
