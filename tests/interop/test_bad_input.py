"""Bad input over HTTPS, and the Status that kube-apiserver answers it with; nothing is half-written."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from kubrick_testing import RealCluster, run_cluster

sys.path.insert(0, str(Path(__file__).parent))
from bad_input_client import Case, Raw
from bad_input_decoding import (
    DEPLOYMENTS,
    FORMATS,
    KINDS,
    MAPS,
    PODS,
    SECRETS,
    SERVICES,
    SYNTAX,
    UNKNOWN_FIELDS,
    WRONG_TYPES,
    config,
    deployment,
    pod,
)
from bad_input_objects import BINDINGS, CONFLICTS, IMMUTABLE, METADATA, RBAC, SPECS
from bad_input_requests import LISTS, NOBODY, OPTIONS, PATCHES, PATHS, SOMEBODY

api_only = pytest.mark.kubrick(arguments=("--profile", "api"))


@asynccontextmanager
async def furnished(cluster: RealCluster) -> AsyncIterator[Raw]:
    """A client of a server with the objects that the cases are about."""
    async with Raw(cluster.kubeconfig) as raw:
        await raw.make("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        there = await raw.make(MAPS, config("there", data={"a": "1"}))
        await raw.make(MAPS, config("frozen", data={"a": "1"}, immutable=True))
        await raw.make(SECRETS, {"metadata": {"name": "there"}})
        await raw.make(SECRETS, {"metadata": {"name": "frozen"}, "data": {"a": "MQ=="}, "immutable": True})
        await raw.make(PODS, pod("there"))
        await raw.make(DEPLOYMENTS, {**deployment(), "metadata": {"name": "there"}})
        await raw.make(SERVICES, {"metadata": {"name": "there"}, "spec": {"ports": [{"port": 80}]}})
        role = {"apiGroup": RBAC, "kind": "Role", "name": "a"}
        await raw.make(BINDINGS, {"metadata": {"name": "there"}, "roleRef": role})
        await raw.make("/api/v1/namespaces", {"metadata": {"name": "ending"}})
        assert (await raw.send("DELETE", "/api/v1/namespaces/ending")).status_code == 200
        page = (await raw.send("GET", f"{MAPS}?limit=1")).json()
        raw.known = {
            "there_uid": there["metadata"]["uid"],
            "there_rv": there["metadata"]["resourceVersion"],
            "token": page["metadata"]["continue"],
            "revision": page["metadata"]["resourceVersion"],
        }
        yield raw


@api_only
@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(UNKNOWN_FIELDS, id="unknown fields"),
        pytest.param(WRONG_TYPES, id="wrong types"),
        pytest.param(SYNTAX, id="malformed bodies"),
        pytest.param(KINDS, id="kinds"),
        pytest.param(FORMATS, id="formats and sizes"),
        pytest.param(METADATA, id="metadata"),
        pytest.param(SPECS, id="specs"),
        pytest.param(CONFLICTS, id="conflicts"),
        pytest.param(IMMUTABLE, id="immutable fields"),
        pytest.param(PATHS, id="paths and methods"),
        pytest.param(PATCHES, id="patches"),
        pytest.param(OPTIONS, id="options"),
        pytest.param(LISTS, id="lists"),
    ],
)
async def test_bad_input_is_answered_as_kubernetes_does_and_writes_nothing(
    cases: list[Case], real_cluster: RealCluster
) -> None:
    async with furnished(real_cluster) as raw:
        differences = await raw.differences(cases)
    assert not differences, "\n".join(differences)


@api_only
async def test_nobody_may_do_anything(real_cluster: RealCluster) -> None:
    async with furnished(real_cluster) as raw:
        differences = await raw.differences(NOBODY, anonymous=True) + await raw.differences(SOMEBODY)
    assert not differences, "\n".join(differences)


@api_only
async def test_a_generated_name_is_refused_with_what_it_was_made_from(real_cluster: RealCluster) -> None:
    async with furnished(real_cluster) as raw:
        answer = await raw.send("POST", MAPS, {"metadata": {"generateName": "Bad_"}})
        status = answer.json()
        assert answer.status_code == 422
        name = status["details"]["name"]
        assert name.startswith("Bad_")
        assert len(name) == 9
        wrong = [(cause["field"], cause["message"].split(":")[1].strip()) for cause in status["details"]["causes"]]
        assert wrong == [("metadata.generateName", '"Bad_"'), ("metadata.name", f'"{name}"')]


@asynccontextmanager
async def forgetful(data_dir: Path) -> AsyncIterator[tuple[Raw, str]]:
    """A client of a server in this process that has forgotten all history, and a page token from before."""
    listening = {"apiserver": {"listen": "127.0.0.1:0"}}
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(run_cluster("api", settings=listening, data_dir=data_dir))
        raw = await stack.enter_async_context(Raw(data_dir / "admin.kubeconfig"))
        for name in ("a", "b", "c"):
            await raw.make(MAPS, config(name))
        page = (await raw.send("GET", f"{MAPS}?limit=2")).json()
        await raw.make(MAPS, config("d"))
        bus = cluster.kernel.bus
        await bus.store.compact(bus.revision)
        bus.topic(b"configmaps/")._feed.restart(bus.revision)
        yield raw, page["metadata"]["continue"]


async def test_a_watch_of_forgotten_history_is_a_stream_of_one_error(tmp_path: Path) -> None:
    async with forgetful(tmp_path) as (raw, _):
        answer = await raw.send("GET", f"{MAPS}?watch=1&resourceVersion=1")
        assert answer.status_code == 200, answer.text
        [event] = [json.loads(line) for line in answer.text.splitlines()]
        message = event["object"].pop("message")
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        assert event == {"type": "ERROR", "object": {**status, "reason": "Expired", "code": 410}}
        assert message.startswith("too old resource version: 1 (")


async def test_a_list_of_forgotten_history_is_refused_and_a_page_may_go_on_from_now(tmp_path: Path) -> None:
    async with forgetful(tmp_path) as (raw, token):
        old = "The resourceVersion for the provided list is too old."
        exact = Case("exact", "GET", f"{MAPS}?resourceVersion=1&resourceVersionMatch=Exact", None, 410, "Expired", old)
        assert await raw.differences([exact]) == []
        refusal = (await raw.send("GET", f"{MAPS}?limit=2&continue={token}")).json()
        assert (refusal["code"], refusal["reason"]) == (410, "Expired")
        assert refusal["message"] == (
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
            "list."
        )
        rest = (await raw.send("GET", f"{MAPS}?continue={refusal['metadata']['continue']}")).json()
        assert [item["metadata"]["name"] for item in rest["items"]] == ["c", "d"]
