"""Validation of metadata: the rules and the exact words."""

from typing import Any

import pytest

from kubrick_api import validation as v
from kubrick_api.errors import invalid
from kubrick_api.names import GVK


def texts(errors: list[Any]) -> list[str]:
    return [str(error) for error in errors]


def meta(**more: Any) -> dict[str, Any]:
    return {"name": "a", "namespace": "default", **more}


def test_good_metadata_has_nothing_wrong() -> None:
    assert v.object_meta(meta(labels={"app": "x"}, annotations={"a/b": "anything"}), True) == []


def test_a_bad_name_is_refused_with_the_rule() -> None:
    error = invalid(GVK("", "v1", "ConfigMap"), "Bad_Name", v.object_meta(meta(name="Bad_Name"), True))
    assert error.message == (
        'ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain '
        "must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric "
        "character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )


def test_a_name_is_required() -> None:
    assert texts(v.object_meta({"namespace": "default"}, True)) == [
        "metadata.name: Required value: name or generateName is required"
    ]


def test_a_generate_name_may_end_in_a_dash() -> None:
    assert v.object_meta(meta(generateName="web-"), True) == []
    assert v.object_meta(meta(generateName="Web-"), True) != []


@pytest.mark.parametrize(("name", "wrong"), [("a" * 254, "must be no more than 253 bytes"), ("a..b", "RFC 1123")])
def test_subdomains(name: str, wrong: str) -> None:
    assert any(wrong in text for text in v.name_is_dns_subdomain(name))


def test_namespaces_where_they_are_needed_and_where_not() -> None:
    assert texts(v.object_meta({"name": "a"}, True)) == ["metadata.namespace: Required value"]
    assert texts(v.object_meta(meta(), False)) == ["metadata.namespace: Forbidden: not allowed on this type"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"a/b/c": ""}, 'metadata.labels: Invalid value: "a/b/c": a qualified name must consist of'),
        ({"/b": ""}, 'metadata.labels: Invalid value: "/b": prefix part must be non-empty'),
        ({"a/": ""}, 'metadata.labels: Invalid value: "a/": name part must be non-empty'),
        ({"-x": ""}, 'metadata.labels: Invalid value: "-x": name part must consist of'),
        ({"x" * 64: ""}, "name part must be no more than 63 bytes"),
        ({"x": "y" * 64}, "must be no more than 63 bytes"),
        ({"x": "b d"}, "a valid label must be an empty string or consist of"),
    ],
)
def test_labels(labels: dict[str, str], message: str) -> None:
    assert message in texts(v.object_meta(meta(labels=labels), True))[0]


def test_annotations_may_be_256_kib_in_all() -> None:
    assert v.annotations({"a": "x" * (256 * 1024 - 1)}, "metadata.annotations") == []
    errors = v.annotations({"a": "x" * (256 * 1024)}, "metadata.annotations")
    assert texts(errors) == ["metadata.annotations: Too long: may not be more than 262144 bytes"]


def test_annotation_keys_may_be_upper_case() -> None:
    assert v.annotations({"Example.COM/Key": ""}, "metadata.annotations") == []


def test_owner_references() -> None:
    good = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "u", "controller": True}
    assert v.owner_references([good], "metadata.ownerReferences") == []
    errors = texts(v.owner_references([{"apiVersion": "", "kind": "", "name": "", "uid": ""}], "o"))
    assert errors == [
        'o[0].apiVersion: Invalid value: "": version must not be empty',
        'o[0].kind: Invalid value: "": kind must not be empty',
        'o[0].name: Invalid value: "": name must not be empty',
        'o[0].uid: Invalid value: "": uid must not be empty',
    ]
    assert "Only one reference can have Controller set to true" in texts(v.owner_references([good, good], "o"))[0]


def test_finalizers() -> None:
    assert v.finalizers(["example.com/x", "orphan"], "f") == []
    assert "neither a standard finalizer name" in texts(v.finalizers(["mine"], "f"))[0]
    assert "cannot be both set" in texts(v.finalizers(["orphan", "foregroundDeletion"], "f"))[0]


def test_immutable_metadata_stays() -> None:
    old = meta(uid="u", creationTimestamp="2026-01-01T00:00:00Z")
    assert v.object_meta_update(old, old) == []
    assert texts(v.object_meta_update(old | {"uid": "w"}, old)) == [
        'metadata.uid: Invalid value: "w": field is immutable'
    ]
    assert texts(v.object_meta_update({**old, "name": "b"}, old)) == [
        'metadata.name: Invalid value: "b": field is immutable'
    ]


def test_no_finalizer_is_added_to_what_is_being_deleted() -> None:
    old = meta(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a/x"])
    assert v.object_meta_update(old | {"finalizers": []}, old) == []
    assert texts(v.object_meta_update(old | {"finalizers": ["a/x", "b/y"]}, old)) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"b/y"}'
    ]


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (
            {"key": "a", "operator": "In"},
            "s.values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            {"key": "a", "operator": "Exists", "values": ["x"]},
            "s.values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        ({"key": "a", "operator": "Is"}, 's.operator: Invalid value: "Is": not a valid selector operator'),
    ],
)
def test_label_selector_requirements(requirement: dict[str, Any], message: str) -> None:
    assert texts(v.label_requirement(requirement, "s")) == [message]
