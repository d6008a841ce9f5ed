"""Creating the same thing again and again: what is remembered of the first changes nothing about the others."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubrick_api.names import GVR
from kubrick_api.storage import Call, UserInfo
from kubrick_apiserver.templates import Templates

PODS = "/api/v1/namespaces/default/pods"
OWN = ("uid", "creationTimestamp", "resourceVersion", "name")


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "busybox"}], "automountServiceAccountToken": False}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, **metadata}, "spec": spec}


def bare(made: dict[str, Any]) -> dict[str, Any]:
    """An object without what is its own."""
    metadata = {key: value for key, value in made["metadata"].items() if key not in OWN}
    metadata["managedFields"] = [{**entry, "time": ""} for entry in metadata["managedFields"]]
    return {**made, "metadata": metadata}


async def test_what_is_made_from_memory_equals_what_is_worked_out(web: Any) -> None:
    made = [(await web("POST", PODS, pod(f"copy-{index}", labels={"app": "x"})))[1] for index in range(3)]
    assert [each["metadata"]["name"] for each in made] == ["copy-0", "copy-1", "copy-2"]
    assert bare(made[0]) == bare(made[1]) == bare(made[2])
    assert len({each["metadata"]["uid"] for each in made}) == 3
    written = await web("POST", PODS, orjson.dumps(pod("copy-3", labels={"app": "x"}), option=orjson.OPT_INDENT_2))
    assert bare(written[1]) == bare(made[0])


async def test_a_label_with_the_name_in_it_is_each_ones_own(web: Any) -> None:
    for name in ("web-aaaa", "web-bbbb"):
        _, made = await web("POST", PODS, pod(name, labels={"app": name}))
        assert made["metadata"]["labels"] == {"app": name}
        _, made = await web("POST", PODS, pod(f"{name}-2", labels={"part": f"of-{name}-2-too"}))
        assert made["metadata"]["labels"] == {"part": f"of-{name}-2-too"}


async def test_what_defaults_copy_from_the_name_is_each_ones_own(web: Any) -> None:
    for name in ("space-one", "space-two", "space-three"):
        _, made = await web("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        assert made["metadata"]["labels"]["kubernetes.io/metadata.name"] == name


async def test_names_are_checked_as_ever(web: Any) -> None:
    await web("POST", PODS, pod("first-pod"))
    for name in ("UPPER-CASE", "a..b--", "-leading-", 'quo"ted-name', "x" * 300):
        status, answer = await web("POST", PODS, pod(name))
        assert (status, answer["reason"]) == (422, "Invalid"), name
    status, answer = await web("POST", PODS, pod("first-pod"))
    assert (status, answer["reason"]) == (409, "AlreadyExists")


async def test_a_name_in_escapes_is_not_taken_for_another_text(web: Any) -> None:
    head = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"%b","uid":"%b"},'
    text = head + b'"spec":{"containers":[{"name":"c","image":"i"}]}}'
    for escaped, uid, name in (
        (b"\\u0070od-escaped", b"pod-escaped", "pod-escaped"),
        (b"\\u0070od-other", b"pod-zzzzzzz", "pod-other"),
    ):
        status, made = await web("POST", PODS, text % (escaped, uid))
        assert (status, made["metadata"]["name"]) == (201, name)


async def test_warnings_are_given_every_time(web: Any) -> None:
    for index in range(3):
        response = await web.respond("POST", PODS, {**pod(f"warned-{index}"), "unknown": 1})
        assert [value for name, value in response.headers if name == "Warning"] == [
            '299 - "unknown field \\"unknown\\""'
        ]


async def test_each_client_is_the_owner_of_what_it_makes(web: Any) -> None:
    for agent in ("one", "two", "one"):
        _, made = await web(
            "POST", PODS, {**pod(f"of-{agent}"), "metadata": {"generateName": "owned-"}}, {"user-agent": f"{agent}/1"}
        )
        assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == [agent]
        _, made = await web("POST", PODS, pod(f"of-{agent}-{made['metadata']['name']}"), {"user-agent": f"{agent}/1"})
        assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == [agent]


@pytest.mark.parametrize("name", ["abc", "a" * 254, "Ab-cdefg"])
def test_names_that_may_be_mistaken_are_not_remembered(name: str) -> None:
    assert remembered(name, "another-name") is None
    assert remembered("another-name", name) is None


@given(st.text(min_size=1), st.text(min_size=1))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_names_are_what_is_found_is_what_is_said(first: str, second: str) -> None:
    found = remembered(first, second)
    assert found is None or found == {"metadata": {"name": second}, "made": True}


def remembered(first: str, second: str) -> Any:
    """What is found for a text with the name `second`, when that of the name `first` was learned."""
    templates = Templates()
    resource: Any = object()
    schema: Any = object()
    call = Call("create", GVR("", "v1", "pods"), user=UserInfo("somebody"))
    obj = {"metadata": {"name": first}, "made": True}
    templates.learn(resource, schema, call, orjson.dumps({"metadata": {"name": first}}), obj, "now")
    return templates.find(resource, schema, call, orjson.dumps({"metadata": {"name": second}}), "later")
