"""Whatever is posted, of whatever kind, is accepted or refused; and what was accepted can be put back."""

import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.resource import Resource
from kubrick_api.storage import Call, UserInfo
from kubrick_client import Connector
from kubrick_testing import Cluster, faults, run_cluster

sys.path.insert(0, str(Path(__file__).parent))
from api_examples import Object, everything, example

JUNK: tuple[Any, ...] = (
    *(None, "", "x", "-", "a/b", "Ünïcode\n", "x" * 300, "10Gi", "1e999", "0x10", "2026-13-01T00:00:00Z"),
    *(0, -1, 1, 2**31, 2**53, -(2**63), 2**63 - 1, 1.5, True, False),
    *([], {}, [None], [[]], [{}], {"": ""}, {"a": None}, {"a": {"b": []}}, ["x", "x"], [1, "a"]),
)
DELETED = object()
ACCOUNTS = "admission-service-account"
Mutation = tuple[int, Any]

mutations = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from((DELETED, *JUNK))), min_size=1, max_size=3)
posts = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from((False, False, True)), mutations), min_size=60, max_size=60
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield value, key
        yield from places(member)


def mutated(obj: Object, changes: list[Mutation]) -> Object:
    """`obj`, changed in place: something taken away or replaced by junk, at places picked by number."""
    for number, junk in changes:
        found = list(places(obj))
        if not found:
            break
        container, key = found[number % len(found)]
        if junk is DELETED:
            del container[key]
        else:
            container[key] = deepcopy(junk)
    return obj


def postable(cluster: Cluster) -> list[Resource]:
    """Resources that can be created, in a fixed order."""
    catalog = cluster.kernel.find(Catalog)
    return sorted((r for r in catalog.resources() if "create" in r.verbs), key=lambda r: r.gvr.qualified)


async def call(
    cluster: Cluster, verb: str, resource: Resource, namespace: str, name: str = "", body: Any = None
) -> Object:
    """One call past the client, which would look into the body."""
    transport = cluster.kernel.find(Connector).transport(UserInfo("root", groups=("system:masters",)))
    return await transport.call(Call(verb, resource.gvr, namespace, name, body=body))


async def post(cluster: Cluster, resource: Resource, obj: Object) -> Object | None:
    """The answer to a create, None when it was refused as it should be."""
    try:
        return await call(cluster, "create", resource, "default" if resource.namespaced else "", body=obj)
    except StatusError as error:
        asked = faults.Asked("POST", resource.gvr.resource, body=obj)
        if not (400 <= error.code < 500 and error.reason) and not faults.known(
            asked, error.code, error.reason, error.message
        ):
            raise
        return None


async def put_back(cluster: Cluster, resource: Resource, made: Object) -> None:
    """What was stored is accepted again, and changes nothing."""
    if resource.virtual is not None:
        return
    metadata = made["metadata"]
    where = metadata.get("namespace", ""), metadata["name"]
    stored = await call(cluster, "get", resource, *where)
    again = await call(cluster, "update", resource, *where, body=stored)
    assert again == stored, f"{resource.gvr}: {stored} came back as {again}"


async def test_every_example_is_accepted_and_can_be_put_back() -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        resources = postable(cluster)
        assert len(resources) == 67  # all but componentstatuses
        for index, resource in enumerate(resources):
            if resource.gvr.resource == "bindings":
                continue  # needs a pod that waits for a node
            made = await post(cluster, resource, example(resource, f"example-{index}"))
            assert made is not None, resource.gvr
            await put_back(cluster, resource, made)


async def try_all(numbered: list[tuple[int, bool, list[Mutation]]]) -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        resources, schemas = postable(cluster), cluster.kernel.find(Catalog).schemas
        for index, (number, full, changes) in enumerate(numbered):
            resource = resources[number % len(resources)]
            name = f"object-{index}"
            obj = everything(resource, schemas, name) if full else example(resource, name)
            made = await post(cluster, resource, mutated(obj, changes))
            if made is not None:
                await put_back(cluster, resource, made)


@settings(max_examples=25, suppress_health_check=[HealthCheck.large_base_example, HealthCheck.too_slow])
@given(posts)
def test_junk_is_refused_or_stored_whole(numbered: list[tuple[int, bool, list[Mutation]]]) -> None:
    trio.run(try_all, numbered)
