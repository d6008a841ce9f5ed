"""OpenAPI documents: complete, consistent, and the protobuf says what the JSON says."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from kubrick_api.catalog import Catalog
from kubrick_api.names import GVK, GVR
from kubrick_api.openapi import OpenAPI
from kubrick_api.resource import APIGroup, Resource, Subresource

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
TYPES: dict[str, Any] = {
    "com.example.v1.Thing": {"gvk": ["example.com", "v1", "Thing"], "fields": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"ref": f"{META}ObjectMeta"},
        "spec": {"ref": "com.example.v1.ThingSpec", "required": True},
    }},
    "com.example.v1.ThingList": {"gvk": ["example.com", "v1", "ThingList"], "fields": {
        "items": {"list": {"ref": "com.example.v1.Thing"}, "required": True},
        "metadata": {"ref": f"{META}ListMeta"},
    }},
    "com.example.v1.ThingSpec": {"fields": {
        "hostIPs": {"list": {"type": "string"}, "list-type": "atomic", "patch-strategy": "merge"},
        "surge": {"ref": "io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
        "limits": {"map": {"ref": "io.k8s.apimachinery.pkg.api.resource.Quantity"}},
        "mode": {"type": "string", "default": "Fast", "description": "How the thing goes about it."},
    }},
}  # fmt: skip
KIND = GVK("example.com", "v1", "Thing")
ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
THINGS = Resource(
    GVR("example.com", "v1", "things"), KIND, True, ALL, "thing", "com.example.v1.Thing",
    subresources={"status": Subresource("status", KIND, ("get", "patch", "update"))},
)  # fmt: skip
CATALOG = Catalog([APIGroup("example.com", "v1", (THINGS,), TYPES)])
API = OpenAPI(CATALOG, "v1.36.0")
PATH = "/apis/example.com/v1/namespaces/{namespace}/things"


def v3() -> Any:
    document = API.v3("apis/example.com/v1")
    assert document is not None
    return orjson.loads(document.body)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_of_a_v3_document_is_defined_in_it() -> None:
    document = v3()
    defined = document["components"]["schemas"]
    assert {ref.removeprefix("#/components/schemas/") for ref in references(document)} <= defined.keys()


def test_every_reference_of_the_v2_document_is_defined_in_it() -> None:
    document = orjson.loads(API.v2().body)
    known = {f"#/definitions/{name}" for name in document["definitions"]}
    known |= {f"#/parameters/{name}" for name in document["parameters"]}
    assert set(references(document)) <= known


def test_operations_say_action_kind_and_how_to_validate() -> None:
    item = v3()["paths"][f"{PATH}/{{name}}"]
    assert item["patch"]["x-kubernetes-action"] == "patch"
    assert item["patch"]["x-kubernetes-group-version-kind"] == {
        "group": "example.com",
        "kind": "Thing",
        "version": "v1",
    }
    assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in item["patch"]["parameters"]}
    assert "application/strategic-merge-patch+json" in item["patch"]["requestBody"]["content"]
    assert item["get"]["operationId"] == "readExampleComV1NamespacedThing"


def test_every_verb_has_its_path() -> None:
    paths = v3()["paths"]
    assert paths[PATH].keys() == {"parameters", "get", "post", "delete"}
    assert paths[f"{PATH}/{{name}}"].keys() == {"parameters", "get", "put", "patch", "delete"}
    assert paths[f"{PATH}/{{name}}/status"].keys() == {"parameters", "get", "put", "patch"}
    assert paths["/apis/example.com/v1/things"].keys() == {"parameters", "get"}
    assert paths[PATH]["delete"]["x-kubernetes-action"] == "deletecollection"


def test_every_type_and_field_is_described() -> None:
    for name, schema in v3()["components"]["schemas"].items():
        assert schema["description"], name
        for field, spec in schema.get("properties", {}).items():
            assert spec["description"], f"{name}.{field}"


def test_fields_carry_what_apply_needs() -> None:
    schemas = v3()["components"]["schemas"]
    spec = schemas["com.example.v1.ThingSpec"]["properties"]
    assert spec["hostIPs"] == {
        "description": "The host IPs of this thing spec.",
        "type": "array",
        "items": {"type": "string"},
        "x-kubernetes-list-type": "atomic",
        "x-kubernetes-patch-strategy": "merge",
    }
    assert spec["mode"]["default"] == "Fast"
    assert spec["mode"]["description"] == "How the thing goes about it."
    assert schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["oneOf"] == [
        {"type": "integer"},
        {"type": "string"},
    ]
    assert schemas["com.example.v1.Thing"]["required"] == ["spec"]


def test_the_index_names_each_document_with_its_hash() -> None:
    index = orjson.loads(API.index().body)["paths"]
    document = API.v3("apis/example.com/v1")
    assert document is not None
    url = f"/openapi/v3/apis/example.com/v1?hash={document.hash}"
    assert index == {"apis/example.com/v1": {"serverRelativeURL": url}}
    assert API.v3("apis/nowhere/v1") is None


# A reader of protobuf's wire format, just enough to look inside.


def fields(data: bytes) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        result = shift = 0
        while True:
            byte = data[at]
            at += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
        else:
            assert tag & 7 == 2
            length = varint()
            found.append((tag >> 3, data[at : at + length]))
            at += length
    return found


def first(data: bytes, *path: int) -> bytes:
    for number in path:
        data = next(value for field, value in fields(data) if field == number)
    return data


def named(data: bytes, number: int) -> dict[str, bytes]:
    entries = [dict(fields(value)) for field, value in fields(data) if field == number]
    return {entry[1].decode(): entry[2] for entry in entries}


@pytest.fixture(scope="module")
def protobuf() -> bytes:
    return API.v2_protobuf().body


def test_the_protobuf_has_every_path_and_definition_of_the_json(protobuf: bytes) -> None:
    document = orjson.loads(API.v2().body)
    assert first(protobuf, 1) == b"2.0"
    assert first(protobuf, 2, 2) == b"v1.36.0"
    assert named(first(protobuf, 8), 2).keys() == document["paths"].keys()
    assert named(first(protobuf, 9), 1).keys() == document["definitions"].keys()
    assert named(first(protobuf, 10), 1).keys() == document["parameters"].keys()


def test_the_protobuf_carries_kinds_references_and_patch_strategies(protobuf: bytes) -> None:
    definitions = named(first(protobuf, 9), 1)
    thing = definitions["com.example.v1.Thing"]
    gvk = named(thing, 31)["x-kubernetes-group-version-kind"]
    assert orjson.loads(first(gvk, 2)) == [{"group": "example.com", "kind": "Thing", "version": "v1"}]
    properties = named(first(thing, 25), 1)
    assert first(properties["spec"], 1) == b"#/definitions/com.example.v1.ThingSpec"
    spec = named(first(definitions["com.example.v1.ThingSpec"], 25), 1)
    assert first(spec["hostIPs"], 22, 1) == b"array"
    assert first(spec["hostIPs"], 23, 1, 22, 1) == b"string"
    assert orjson.loads(first(named(spec["hostIPs"], 31)["x-kubernetes-patch-strategy"], 2)) == "merge"
    patch = first(named(first(protobuf, 8), 2)[f"{PATH}/{{name}}"], 8)
    assert named(patch, 13).keys() == {"x-kubernetes-action", "x-kubernetes-group-version-kind"}
