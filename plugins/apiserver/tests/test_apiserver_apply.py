"""Server-side apply as requests: bodies, parameters, refusals, and the manager's name."""

from typing import Any

import orjson
import pytest
from attrs import define

from kubrick_api_core import CONFIG_MAPS
from kubrick_apiserver.admission import Attributes
from kubrick_apiserver.chain import AdmissionChain
from kubrick_apiserver.ownership import agent_name

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
HERE = f"{MAPS}/c?fieldManager=me"
YAML = b"""
apiVersion: v1
kind: ConfigMap
metadata:
  name: c
data:
  a: "1"
"""
TWICE = YAML + b'  a: "2"\n'


def config(**data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}, "data": data}


def managers(obj: Any) -> list[tuple[str, str]]:
    return [(entry["manager"], entry["operation"]) for entry in obj["metadata"].get("managedFields", ())]


async def test_the_body_is_yaml(web: Any) -> None:
    status, obj = await web("PATCH", HERE, YAML, APPLY)
    assert (status, obj["data"]) == (201, {"a": "1"})
    status, again = await web("PATCH", HERE, YAML, APPLY)
    assert (status, again) == (200, obj)


async def test_json_is_yaml(web: Any) -> None:
    status, obj = await web("PATCH", HERE, config(a="1"), {"Content-Type": "application/apply-patch+yaml; charset=x"})
    assert (status, managers(obj)) == (201, [("me", "Apply")])


async def test_a_key_given_twice_is_warned_of_refused_or_passed_over(web: Any) -> None:
    said = 'error converting YAML to JSON: yaml: unmarshal errors:\n  line 8: key "a" already set in map'
    status, refusal = await web("PATCH", f"{HERE}&fieldValidation=Strict", TWICE, APPLY)
    assert (status, refusal["message"]) == (400, f"error strict decoding YAML: {said}")
    warned = await web.respond("PATCH", HERE, TWICE, APPLY)
    assert any("already set in map" in value for name, value in warned.headers if name == "Warning")
    passed = await web.respond("PATCH", f"{HERE}&fieldValidation=Ignore", TWICE, APPLY)
    assert not [name for name, _ in passed.headers if name == "Warning"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a: b: c", "error decoding YAML: error converting YAML to JSON: yaml: "),
        (b"[1]", "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array "),
        (b"text", "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string "),
        (b"", "invalid object type: /, Kind="),
        (b"{}", "invalid object type: /, Kind="),
        (b"kind: Secret\napiVersion: v1", "invalid object type: /v1, Kind=Secret"),
    ],
)
async def test_a_body_that_is_no_object_of_the_kind(web: Any, body: bytes, message: str) -> None:
    status, refusal = await web("PATCH", HERE, body, APPLY)
    assert status == 400
    assert refusal["message"].startswith(message)


async def test_force_is_for_applies(web: Any) -> None:
    await web("POST", MAPS, config(a="1"))
    merge = {"Content-Type": "application/merge-patch+json"}
    status, refusal = await web("PATCH", f"{MAPS}/c?force=true", {}, merge)
    assert status == 422
    assert "force: Forbidden: may not be specified for non-apply patch" in refusal["message"]


async def test_the_name_and_namespace_are_those_of_the_request(web: Any) -> None:
    other = config(a="1")
    other["metadata"] = {"name": "other"}
    status, refusal = await web("PATCH", HERE, other, APPLY)
    assert status == 400
    assert refusal["message"] == "the name of the object (other) does not match the name on the URL (c)"
    other["metadata"] = {"name": "c", "namespace": "elsewhere"}
    status, refusal = await web("PATCH", HERE, other, APPLY)
    assert status == 400


async def test_an_object_meant_by_uid_is_not_made_anew(web: Any) -> None:
    asked = config(a="1")
    asked["metadata"]["uid"] = "123"
    status, refusal = await web("PATCH", HERE, asked, APPLY)
    assert status == 409
    assert "uid mismatch: the provided object specified uid 123, and no existing object was found" in refusal["message"]


async def test_the_first_word_of_the_user_agent_is_the_manager(web: Any) -> None:
    _, obj = await web("POST", MAPS, config(a="1"), {"User-Agent": "kubectl/v1.33.0 (linux/amd64)"})
    assert managers(obj) == [("kubectl", "Update")]
    _, obj = await web("POST", f"{MAPS}?fieldManager=said", {**config(a="1"), "metadata": {"name": "d"}})
    assert managers(obj) == [("said", "Update")]


@pytest.mark.parametrize(
    ("agent", "name"),
    [("a/b/c", "a"), ("a b", "a b"), ("\x07x/1", "x"), ("é" * 100, "é" * 64), ("/v1", "")],
)
def test_a_manager_named_by_an_agent_is_printable_and_short(agent: str, name: str) -> None:
    assert agent_name(agent) == name


async def test_an_agent_without_a_name_is_unknown(web: Any) -> None:
    _, obj = await web("POST", MAPS, config(a="1"), {"User-Agent": "/v1"})
    assert managers(obj) == [("unknown", "Update")]


async def test_one_entry_can_be_taken_out_by_hand(web: Any) -> None:
    await web("PATCH", HERE, config(a="1"), APPLY)
    await web("PATCH", f"{MAPS}/c?fieldManager=you", config(b="1"), APPLY)
    remove = [{"op": "remove", "path": "/metadata/managedFields/0"}]
    status, obj = await web("PATCH", f"{MAPS}/c", remove, JSON_PATCH)
    assert (status, managers(obj)) == (200, [("you", "Apply")])


@pytest.mark.parametrize(
    "junk",
    [
        {"manager": "x", "operation": "Steal", "apiVersion": "v1", "fieldsType": "FieldsV1"},
        {"manager": "x", "operation": "Apply", "fieldsType": "FieldsV1"},
        {"manager": "x", "operation": "Apply", "apiVersion": "v1"},
        {"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV2"},
        {"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"x": {}}},
    ],
)
async def test_entries_that_cannot_be_read_are_as_if_not_sent(web: Any, junk: dict[str, Any]) -> None:
    _, before = await web("PATCH", HERE, config(a="1"), APPLY)
    spoilt = {**before, "metadata": {**before["metadata"], "managedFields": [junk]}}
    status, after = await web("PUT", f"{MAPS}/c", spoilt)
    assert (status, after) == (200, before)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"manager": "x" * 129}, "metadata.managedFields[0].manager: Too long: may not be more than 128 bytes"),
        (
            {"manager": "é\x07"},
            'metadata.managedFields[0].manager: Invalid value: "é\\a": invalid character U+0007 (at position 2)',
        ),
        ({"subresource": "x" * 257}, "metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes"),
    ],
)
async def test_entries_that_can_be_read_may_still_be_invalid(web: Any, change: dict[str, str], cause: str) -> None:
    _, obj = await web("PATCH", HERE, config(a="1"), APPLY)
    obj["metadata"]["managedFields"][0].update(change)
    status, refusal = await web("PUT", f"{MAPS}/c", obj)
    assert status == 422
    assert refusal["message"] == f'ConfigMap "c" is invalid: {cause}'


async def test_a_manager_in_the_query_must_be_printable(web: Any) -> None:
    status, refusal = await web("PATCH", f"{MAPS}/c?fieldManager=a%07", config(a="1"), APPLY)
    assert status == 422
    assert "fieldManager: Invalid value: " in refusal["message"]
    assert refusal["message"].endswith("invalid character U+0007 (at position 1)")


@define
class Spoiler:
    """An admission plugin that changes managedFields."""

    leaves: list[dict[str, Any]]
    name: str = "spoiler"
    order: int = 10

    def handles(self, attributes: Attributes) -> bool:
        return attributes.resource == CONFIG_MAPS

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.object is not None
        attributes.object["metadata"]["managedFields"] = self.leaves


async def test_what_admission_spoils_is_put_back_with_a_warning(web: Any) -> None:
    web.registry.chain = AdmissionChain((Spoiler([{"manager": "x"}]),))
    response = await web.respond("POST", f"{MAPS}?fieldManager=me", config(a="1"))
    assert managers(orjson.loads(response.body)) == [("me", "Update")]
    (warning,) = [value for name, value in response.headers if name == "Warning"]
    assert "managedFields was in an invalid state after admission" in warning


async def test_what_admission_says_of_owners_counts_if_it_can_be_read(web: Any) -> None:
    mine = {"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    web.registry.chain = AdmissionChain((Spoiler([{**mine, "fieldsV1": {"f:data": {"f:a": {}}}}]),))
    _, obj = await web("POST", f"{MAPS}?fieldManager=me", config(a="1"))
    assert managers(obj) == [("x", "Update")]


async def test_a_binding_owns_no_node_name(web: Any) -> None:
    await web("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    status, _ = await web("POST", f"{PODS}/p/binding", target)
    assert status == 201
    _, pod = await web("GET", f"{PODS}/p")
    assert pod["spec"]["nodeName"] == "n"
    assert not any("f:nodeName" in entry["fieldsV1"].get("f:spec", {}) for entry in pod["metadata"]["managedFields"])
