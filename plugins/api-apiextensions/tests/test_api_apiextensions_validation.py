"""Each rule of CustomResourceDefinitions: a valid one, changed, and exactly what is said of it."""

from base64 import b64encode
from typing import Any

import pytest

from kubrick_api.formats import DNS1035_RULE
from kubrick_api.merge import json_merge
from kubrick_api_apiextensions.definitions import CustomResourceDefinitionStrategy
from kubrick_api_apiextensions.structural import validate_schema

Object = dict[str, Any]
VERSION = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
CRD: Object = {
    "metadata": {"name": "widgets.acme.io"},
    "spec": {
        "group": "acme.io",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [VERSION],
    },
    "status": {"storedVersions": ["v1"]},
}
V = "spec.versions[0]"


def said(patch: Object, old: Object | None = None) -> list[str]:
    obj = json_merge(CRD, patch)
    strategy = CustomResourceDefinitionStrategy()
    strategy.default(obj)
    return [str(e) for e in (strategy.validate(obj) if old is None else strategy.validate_replacement(obj, old))]


def version(**fields: Any) -> Object:
    return {"spec": {"versions": [{**VERSION, **fields}]}}


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        (
            {"spec": {"group": "acme", "scope": "x"}},
            [
                'metadata.name: Invalid value: "widgets.acme.io": must be spec.names.plural+"."+spec.group',
                'spec.group: Invalid value: "acme": should be a domain with at least one dot',
                'spec.scope: Unsupported value: "x": supported values: "Cluster", "Namespaced"',
            ],
        ),
        (
            {"spec": {"names": {"kind": "1x", "listKind": "1x", "shortNames": ["A"], "categories": ["B"]}}},
            [
                f'spec.names.singular: Invalid value: "1x": {DNS1035_RULE}',
                'spec.names.kind: Invalid value: "1x": may have mixed case, but should otherwise match: '
                f"{DNS1035_RULE}",
                'spec.names.listKind: Invalid value: "1x": may have mixed case, but should otherwise match: '
                f"{DNS1035_RULE}",
                f'spec.names.shortNames[0]: Invalid value: "A": {DNS1035_RULE}',
                'spec.names.listKind: Invalid value: "1x": kind and listKind may not be the same',
                f'spec.names.categories[0]: Invalid value: "B": {DNS1035_RULE}',
            ],
        ),
        (version(schema=None), [f"{V}.schema.openAPIV3Schema: Required value: schemas are required"]),
        (
            version(deprecationWarning=""),
            [f'{V}.deprecationWarning: Invalid value: "": can only be set for deprecated versions'],
        ),
        (
            version(deprecated=True, deprecationWarning=""),
            [f'{V}.deprecationWarning: Invalid value: "": must not be an empty string'],
        ),
        (
            version(deprecated=True, deprecationWarning=f"{'é' * 128}\a"),
            [
                f'{V}.deprecationWarning: Invalid value: "{"é" * 128}\\a": must be <= 256 characters long',
                f'{V}.deprecationWarning: Invalid value: "{"é" * 128}\\a": must only contain printable UTF-8 '
                "characters; non-printable character found at index 256",
            ],
        ),
        (version(subresources={"scale": {"specReplicasPath": ".spec.x[0]", "statusReplicasPath": ".status.x"}}), []),
        (
            version(selectableFields=[{"jsonPath": path} for path in (".spec.a", "", ".spec.b", ".spec[0]", ".", "x")]),
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".spec.a": is an invalid path: does not refer to a '
                "valid field",
                "spec.selectableFields[1].jsonPath: Required value",
                'spec.selectableFields[2].jsonPath: Invalid value: ".spec.b": is an invalid path: does not refer to a '
                "valid field",
                'spec.selectableFields[3].jsonPath: Invalid value: ".spec[0]": is an invalid path: does not refer to a '
                "valid field",
                'spec.selectableFields[4].jsonPath: Invalid value: ".": is an invalid path: unexpected end of '
                "JSON path",
                'spec.selectableFields[5].jsonPath: Invalid value: "x": is an invalid path: expected [ or . but got: x',
            ],
        ),
        (
            version(subresources={"scale": {"specReplicasPath": "spec.x", "labelSelectorPath": ".x"}}),
            [
                'spec.subresources.scale.specReplicasPath: Invalid value: "spec.x": must be a simple json path '
                "starting with .",
                "spec.subresources.scale.statusReplicasPath: Required value",
                'spec.subresources.scale.labelSelectorPath: Invalid value: ".x": should be a json path under either '
                ".spec or .status",
            ],
        ),
        (
            version(additionalPrinterColumns=[{"type": "x", "format": "x"}]),
            [
                "spec.additionalPrinterColumns[0].name: Required value",
                'spec.additionalPrinterColumns[0].type: Invalid value: "x": must be one of boolean,date,integer,number,'
                "string",
                'spec.additionalPrinterColumns[0].format: Invalid value: "x": must be one of byte,date,date-time,'
                "double,float,int32,int64,password",
                "spec.additionalPrinterColumns[0].JSONPath: Required value",
            ],
        ),
        (
            {"spec": {"conversion": {"strategy": "Webhook"}}},
            [
                "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
                "spec.conversion.conversionReviewVersions: Required value",
            ],
        ),
        (
            {"spec": {"conversion": {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}}},
            [
                "spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to "
                "Webhook"
            ],
        ),
        (
            {"metadata": {"name": "widgets.a.k8s.io"}, "spec": {"group": "a.k8s.io"}},
            [
                "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval "
                'annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111'
            ],
        ),
    ],
)
def test_a_definition(patch: Object, wrong: list[str]) -> None:
    assert said(patch) == wrong


def test_versions_have_names_of_their_own_and_one_is_stored() -> None:
    errors = said({"spec": {"versions": [VERSION, VERSION]}})
    assert [error.rpartition("}]: ")[2] for error in errors] == [
        "must contain unique version names",
        "must have exactly one version marked as storage version",
    ]


def test_what_was_stored_stays_a_version() -> None:
    errors = said({"status": {"storedVersions": ["v1", "v0"]}})
    assert len(errors) == 1
    assert errors[0].startswith('status.storedVersions[1]: Invalid value: "v0": missing from spec.versions; v0 was')


def test_names_are_fixed_once_they_are_served() -> None:
    served = json_merge(CRD, {"status": {"conditions": [{"type": "Established", "status": "True"}]}})
    changed = {"spec": {"scope": "Cluster", "names": {"kind": "Gadget", "singular": "x"}}}
    assert said(changed, CRD) == []
    assert said(changed, served) == [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'spec.names.kind: Invalid value: "Gadget": field is immutable',
    ]


AT = "at.x-kubernetes-validations[0]"
SPEC: Object = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "name-of": {"type": "string"},
        "namespace": {"type": "string"},
        "port": {"x-kubernetes-int-or-string": True},
        "until": {"type": "string", "format": "date-time"},
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        "free": {"x-kubernetes-preserve-unknown-fields": True},
    },
}


def ruled(*rules: Object, **fields: Any) -> list[str]:
    schema = {**SPEC, "x-kubernetes-validations": [*rules], **fields}
    return [str(error) for error in validate_schema(schema, "at")]


@pytest.mark.parametrize(
    "rule",
    [
        "self.replicas > 0 && self.name__dash__of == 'a' && self.__namespace__ != ''",
        "self.port == 80 || self.port == 'http'",
        "self.until > timestamp('2020-01-01T00:00:00Z')",
        "self.tags.all(k, self.tags[k] != '') && self.tags['a'] == 'b'",
        "self.parts.all(part, part.size < 3)",
        "self.metadata.name.startsWith('a') && self.kind == 'Widget'",
        "!has(oldSelf.replicas) || self.replicas >= oldSelf.replicas",
        "quantity('1').isLessThan(quantity('2')) && isURL('x')",
    ],
)
def test_a_rule_sees_what_the_schema_says(rule: str) -> None:
    assert ruled({"rule": rule}) == []


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("self.other", "1:5: undefined field 'other'"),
        ("self.free == 1", "1:5: undefined field 'free'"),
        ("self.metadata.labels", "1:14: undefined field 'labels'"),
        ("self.replicas == 'a'", "1:15: found no matching overload for '_==_' applied to '(int, string)'"),
        ("object.x", "1:1: undeclared reference to 'object' (in container '')"),
    ],
)
def test_a_rule_that_does_not_compile(rule: str, wrong: str) -> None:
    (error,) = ruled({"rule": rule})
    shown = (
        f'{{"Rule":"{rule}","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}}'
    )
    assert error.startswith(f"{AT}.rule: Invalid value: {shown}: compilation failed: ERROR: <input>:{wrong}")


def test_what_rules_evaluate_to() -> None:
    errors = ruled({"rule": "self.replicas", "messageExpression": "self.replicas"})
    assert [error.rpartition("}: ")[2] for error in errors] == [
        "cel expression must evaluate to a bool",
        "messageExpression must evaluate to a string",
    ]


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ({"rule": " "}, [".rule: Required value: rule is not specified"]),
        ({"rule": "true", "message": " "}, ['.message: Invalid value: " ": message must be non-empty if specified']),
        (
            {"rule": "true", "message": "a\nb"},
            ['.message: Invalid value: "a\\nb": message must not contain line breaks'],
        ),
        (
            {"rule": "true ||\nfalse", "reason": "x", "messageExpression": " "},
            [
                ".message: Required value: message must be specified if rule contains line breaks",
                ".messageExpression: Required value: messageExpression must be non-empty if specified",
                '.reason: Unsupported value: "x": supported values: "FieldValueDuplicate", "FieldValueForbidden", '
                '"FieldValueInvalid", "FieldValueRequired"',
            ],
        ),
        (
            {"rule": "true", "fieldPath": ".parts[0]"},
            ['.fieldPath: Invalid value: ".parts[0]": fieldPath must be a valid path'],
        ),
        (
            {"rule": "true", "fieldPath": ".other"},
            ['.fieldPath: Invalid value: ".other": fieldPath must be a valid path'],
        ),
        ({"rule": "true", "fieldPath": "['name-of']"}, []),
        ({"rule": "true", "fieldPath": ".tags.a"}, []),
    ],
)
def test_the_form_of_a_rule(rule: Object, wrong: list[str]) -> None:
    assert ruled(rule) == [AT + error for error in wrong]


@pytest.mark.parametrize(("kind", "fine"), [("map", True), ("atomic", False), (None, False)])
def test_old_entries_of_a_list_are_known_by_key_only(kind: str | None, fine: bool) -> None:
    items = {
        **SPEC["properties"]["parts"]["items"],
        "x-kubernetes-validations": [{"rule": "self.size >= oldSelf.size"}],
        "required": ["size"],
    }
    parts: Object = {"type": "array", "items": items}
    if kind:
        parts |= {"x-kubernetes-list-type": kind} | ({"x-kubernetes-list-map-keys": ["size"]} if kind == "map" else {})
    errors = [str(e) for e in validate_schema({"type": "object", "properties": {"parts": parts}}, "at")]
    why = "oldSelf cannot be used on the uncorrelatable portion of the schema within at.properties[parts]"
    assert errors == (
        []
        if fine
        else [
            "at.properties[parts].items.x-kubernetes-validations[0].rule: Invalid value: "
            f'"self.size >= oldSelf.size": {why}'
        ]
    )


WEBHOOK = {"clientConfig": {"url": "https://a.example/convert"}, "conversionReviewVersions": ["v1"]}


def bundled(bundle: bytes | None) -> Object:
    text = None if bundle is None else b64encode(bundle).decode()
    webhook = json_merge(WEBHOOK, {"clientConfig": {"caBundle": text}})
    return {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}


PEM = b"-----BEGIN %s-----\n%s\n-----END %s-----\n"
SERVED = json_merge(CRD, {"status": {"conditions": [{"type": "Established", "status": "True"}]}})


@pytest.mark.parametrize(
    ("bundle", "flaw"),
    [
        (b"x", "unable to parse bytes as PEM block"),
        (PEM % (b"CERTIFICATE", b"AAAA", b"CERTIFICATE"), "failed to parse certificate: x509: malformed certificate"),
        (PEM % (b"RSA PRIVATE KEY", b"AAAA", b"RSA PRIVATE KEY"), "no valid certificate authority data seen"),
        (None, ""),
    ],
)
def test_a_served_definition_is_not_given_a_bundle_that_cannot_be_read(bundle: bytes | None, flaw: str) -> None:
    patch, at = bundled(bundle), "spec.conversion.webhookClientConfig.caBundle"
    shown = b64encode(bundle or b"").decode()
    why = f'{at}: Invalid value: "{shown}": unable to load root certificates: {flaw}'
    assert said(patch, SERVED) == ([why] if flaw else [])
    assert said(patch) == []
    assert said(patch, CRD) == []
    assert said(patch, json_merge(SERVED, bundled(b"bad before"))) == []


def test_approval_is_asked_for_when_it_changes() -> None:
    at = "api-approved.kubernetes.io"
    group = {"metadata": {"name": "widgets.acme.k8s.io"}, "spec": {"group": "acme.k8s.io"}}
    (error,) = said(group)
    assert error.startswith(f"metadata.annotations[{at}]: Required value: protected groups must have approval")
    assert said(group, json_merge(CRD, group)) == []
    for value, wrong in (("https://a.example/1", 0), ("unapproved, a test", 0), ("://", 1), ("yes", 1)):
        approved = json_merge(group, {"metadata": {"annotations": {at: value}}})
        assert len(said(approved, json_merge(CRD, group))) == wrong


def test_what_tells_entries_apart_is_in_each_of_them() -> None:
    keys = {"name": {"type": "string"}, "kind": {"type": "string", "default": "x", "nullable": True}}
    items = {"type": "object", "properties": keys}
    listed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "kind"]}
    schema = {"type": "object", "properties": {"parts": {**listed, "items": items}}}
    at, why = "at.properties[parts].items.properties", "this property is in x-kubernetes-list-map-keys, so it"
    assert [str(error) for error in validate_schema(schema, "at")] == [
        f"{at}[name].default: Required value: {why} must have a default or be a required property",
        f"{at}[kind].nullable: Forbidden: {why} cannot be nullable",
    ]


def test_what_all_versions_say_is_complained_of_once() -> None:
    wrong = {"type": "object", "properties": {"a": {}}}
    column = [{"name": "a", "type": "x", "jsonPath": ".a"}]
    first = {**VERSION, "schema": {"openAPIV3Schema": wrong}, "additionalPrinterColumns": column}
    second = {**first, "name": "v2", "storage": False}
    alone = "openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields"
    listed = 'additionalPrinterColumns[0].type: Invalid value: "x": must be one of boolean,date,integer,number,string'
    assert said({"spec": {"versions": [first, second]}}) == [f"spec.validation.{alone}", f"spec.{listed}"]
    second = {**second, "additionalPrinterColumns": []}
    third = {**second, "name": "v3", "schema": VERSION["schema"]}
    assert said({"spec": {"versions": [first, second, third]}}) == [
        f"spec.versions[0].schema.{alone}",
        f"spec.versions[0].{listed}",
        f"spec.versions[1].schema.{alone}",
    ]
