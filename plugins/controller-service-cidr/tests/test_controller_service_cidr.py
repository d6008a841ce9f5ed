"""Ranges that come, serve and go, in a cluster in virtual time."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api_core import EVENTS, SERVICES
from kubrick_api_networking import IP_ADDRESSES, SERVICE_CIDRS
from kubrick_controller_service_cidr.plan import (
    ALLOCATOR,
    FINALIZER,
    IN_USE_MESSAGE,
    MANAGED_BY,
    condition,
    holds,
    may_go,
    needed_condition,
    parse,
)
from kubrick_testing import Cluster, run_cluster


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[Cluster]:
    async with run_cluster("api", enable=("controller", "controller-service-cidr"), **options) as cluster:
        yield cluster


def service_cidr(name: str, *cidrs: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}}


def service(name: str, address: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}


def ready(found: Object | None) -> str:
    return (condition(found or {}) or {}).get("status", "")


async def until_ready(cluster: Cluster, name: str) -> Object:
    found = await cluster.until(SERVICE_CIDRS, name, lambda found: ready(found) == "True", "")
    assert found is not None
    return found


async def is_gone(cluster: Cluster, name: str) -> bool:
    found = (await cluster.client.list(SERVICE_CIDRS))["items"]
    return name not in {each["metadata"]["name"] for each in found}


async def test_a_new_range_is_protected_and_ready(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        await cluster.client.create(SERVICE_CIDRS, service_cidr("more", "10.200.0.0/24"))
        found = await until_ready(cluster, "more")
        assert found["metadata"]["finalizers"] == [FINALIZER]
        made = condition(found)
        assert made is not None
        assert (made["message"], made.get("reason") or "") == ("Kubernetes Service CIDR is ready", "")
        owners = {(each["manager"], each["operation"], each.get("subresource")) for each in owned(found)}
        assert ("service-cidr-controller", "Apply", "status") in owners
        await trio.sleep(60)
        again = await cluster.client.get(SERVICE_CIDRS, "more")
        assert again["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"], "it is left alone then"


def owned(obj: Object) -> list[Object]:
    found: list[Object] = obj["metadata"]["managedFields"]
    return found


async def test_the_default_range_is_ready_like_any_other(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        found = await until_ready(cluster, "kubernetes")
        assert FINALIZER in found["metadata"]["finalizers"]


async def test_a_range_nobody_uses_goes_after_ten_seconds(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        await cluster.client.create(SERVICE_CIDRS, service_cidr("more", "10.200.0.0/24"))
        await until_ready(cluster, "more")
        await cluster.client.delete(SERVICE_CIDRS, "more")
        await trio.sleep(8)
        assert not await is_gone(cluster, "more")
        await trio.sleep(3)
        assert await is_gone(cluster, "more")


async def test_a_range_in_use_stays_until_its_last_address_is_free(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        client = cluster.client
        await client.create(SERVICE_CIDRS, service_cidr("more", "10.200.0.0/24"))
        await until_ready(cluster, "more")
        await client.create(SERVICES, service("web", "10.200.0.7"), "default")
        await client.delete(SERVICE_CIDRS, "more")
        found = await cluster.until(SERVICE_CIDRS, "more", lambda found: ready(found) == "False", "")
        made = condition(found or {})
        assert made is not None
        assert (made["reason"], made["message"]) == ("Terminating", IN_USE_MESSAGE)
        with pytest.raises(StatusError, match="does not match the current range"):
            await client.create(SERVICES, service("late", "10.200.0.8"), "default")
        await trio.sleep(3600)
        assert not await is_gone(cluster, "more")
        await client.delete(SERVICES, "web", "default")
        await trio.sleep(1)
        assert await is_gone(cluster, "more"), "its ten seconds have long passed"


async def test_a_range_in_use_may_go_when_another_takes_its_addresses(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        client = cluster.client
        await client.create(SERVICE_CIDRS, service_cidr("more", "10.200.0.0/24"))
        await until_ready(cluster, "more")
        await client.create(SERVICES, service("web", "10.200.0.7"), "default")
        await client.delete(SERVICE_CIDRS, "more")
        await cluster.until(SERVICE_CIDRS, "more", lambda found: ready(found) == "False", "")
        await client.create(SERVICE_CIDRS, service_cidr("wider", "10.200.0.0/16"))
        await trio.sleep(15)
        assert await is_gone(cluster, "more")
        assert (await client.get(IP_ADDRESSES, "10.200.0.7"))["spec"]["parentRef"]["name"] == "web"


async def test_an_address_that_is_no_services_holds_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        client = cluster.client
        await client.create(SERVICE_CIDRS, service_cidr("more", "10.200.0.0/24"))
        await until_ready(cluster, "more")
        parent = {"group": "example.com", "resource": "gateways", "name": "g"}
        await client.create(IP_ADDRESSES, {"metadata": {"name": "10.200.0.9"}, "spec": {"parentRef": parent}})
        await client.delete(SERVICE_CIDRS, "more")
        await trio.sleep(12)
        assert await is_gone(cluster, "more")


async def test_a_status_that_cannot_be_set_is_told_of(autojump_clock: trio.testing.MockClock) -> None:
    from kubrick_api_rbac import CLUSTER_ROLES

    async with served() as cluster:
        client = cluster.client
        role = "system:controller:service-cidrs-controller"
        found = await client.get(CLUSTER_ROLES, role)
        rules = [rule for rule in found["rules"] if "servicecidrs/status" not in rule["resources"]]
        await client.update(CLUSTER_ROLES, {**found, "rules": rules})
        await client.create(SERVICE_CIDRS, service_cidr("more", "10.200.0.0/24"))
        await trio.sleep(5)
        told = [each for each in (await client.list(EVENTS, "default"))["items"] if each["type"] == "Warning"]
        assert {(each["reason"], each["message"], each["involvedObject"]["name"]) for each in told} == {
            ("KubernetesServiceCIDRError", "The ServiceCIDR Status can not be set to Ready=True", "more")
        }


def ip_address(text: str) -> Object:
    return {"metadata": {"name": text, "labels": {MANAGED_BY: ALLOCATOR}}}


ranges = st.builds(
    lambda host, bits: str(ipaddress.ip_network((0x0A000000 | host, bits), strict=False)),
    st.integers(0, 0xFFF),
    st.integers(22, 30),
)


@given(
    st.lists(ranges, min_size=1, max_size=5),
    st.lists(st.integers(0, 0xFFF).map(lambda host: str(ipaddress.ip_address(0x0A000000 | host))), max_size=8),
)
def test_a_range_that_may_go_leaves_no_address_behind(texts: list[str], used: list[str]) -> None:
    cidrs = [service_cidr(f"c{i}", text) for i, text in enumerate(texts)]
    left = [network for text in texts[1:] if (network := parse(text)) is not None]
    own = parse(texts[0])
    assert own is not None
    if may_go(cidrs[0], cidrs, [ip_address(text) for text in used]):
        for text in used:
            address = ipaddress.ip_address(text)
            # The edges of a range inside a wider one are the wider one's to give.
            assert not holds(own, address) or any(address in network for network in left)
    else:
        assert any(holds(own, ipaddress.ip_address(text)) for text in used)


def test_a_condition_is_set_once() -> None:
    found = service_cidr("c", "10.0.0.0/24")
    wanted = needed_condition(found, True)
    assert wanted == {"type": "Ready", "status": "True", "message": "Kubernetes Service CIDR is ready"}
    found["status"] = {"conditions": [{**wanted, "reason": ""}]}
    assert needed_condition(found, True) is None
    assert needed_condition(found, False) is not None
