"""Services, their addresses and the default range, kept right in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api import codec
from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api_core import EVENTS, SERVICES
from kubrick_api_core.service_allocation import IP_ADDRESSES, SERVICE_CIDRS, ip_address_object
from kubrick_apiserver import repair
from kubrick_kernel import Delete, Put, rfc3339
from kubrick_testing import Cluster, run_cluster

TEN_MINUTES = 601.0


@asynccontextmanager
async def served(**settings: str) -> AsyncIterator[Cluster]:
    async with run_cluster("api", settings={"apiserver": settings}) as cluster:
        await trio.sleep(1)
        yield cluster


async def store(cluster: Cluster, gvr: GVR, obj: Object) -> None:
    """Write an object as no client could, the way a mishap would."""
    resource = cluster.kernel.find(Catalog).resource(gvr)
    assert resource is not None
    metadata = obj["metadata"]
    key = resource.key(metadata.get("namespace", ""), metadata["name"])
    item = cluster.kernel.bus.topic(resource.key_prefix).get(key)
    value, stamp = codec.encode(obj, resource)
    await cluster.kernel.bus.commit((Put(key, value, item.revision if item else 0, stamp),))


async def lose(cluster: Cluster, gvr: GVR, namespace: str, name: str) -> None:
    """Delete an object and nothing that goes with it."""
    resource = cluster.kernel.find(Catalog).resource(gvr)
    assert resource is not None
    await cluster.kernel.bus.commit((Delete(resource.key(namespace, name)),))


def service(name: str = "web", address: str = "10.96.0.50", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"clusterIP": address, "ports": [{"port": 80}], **spec}}


async def told(cluster: Cluster) -> list[tuple[str, str]]:
    found = (await cluster.client.list(EVENTS))["items"]
    return sorted((each["reason"], each["message"]) for each in found if each["type"] == "Warning")


async def owner(cluster: Cluster, address: str = "10.96.0.50") -> str:
    """Whose an address is, "" if nobody's."""
    try:
        found = await cluster.client.get(IP_ADDRESSES, address)
    except StatusError:
        return ""
    name: str = found["spec"]["parentRef"]["name"]
    return name


async def test_the_default_range_is_ready_without_a_controller(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        found = await cluster.client.get(SERVICE_CIDRS, "kubernetes")
        (condition,) = found["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("Ready", "True")
        assert condition["message"] == "Kubernetes default Service CIDR is ready"
        (written,) = (each for each in found["metadata"]["managedFields"] if each.get("subresource") == "status")
        assert (written["manager"], written["operation"]) == ("kubernetes-service-cidr-controller", "Apply")
        await cluster.client.delete(SERVICE_CIDRS, "kubernetes")
        await trio.sleep(11)
        again = await cluster.client.get(SERVICE_CIDRS, "kubernetes")
        assert again["metadata"]["uid"] != found["metadata"]["uid"]
        assert again["spec"]["cidrs"] == ["10.96.0.0/16"]


async def test_a_default_range_that_is_not_ready_is_left_so_and_told_of_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with served() as cluster:
        found = await cluster.client.get(SERVICE_CIDRS, "kubernetes")
        condition = {**found["status"]["conditions"][0], "status": "False", "reason": "Broken", "message": "no"}
        await cluster.client.update(
            SERVICE_CIDRS, {**found, "status": {"conditions": [condition]}}, subresource="status"
        )
        await trio.sleep(60)
        assert await told(cluster) == [("Broken", "Configuration matches, but no")]
        found = await cluster.client.get(SERVICE_CIDRS, "kubernetes")
        assert found["status"]["conditions"][0]["status"] == "False"


async def test_a_default_range_of_one_family_is_widened_and_another_is_told_of_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    both = ["10.96.0.0/16", "fd00:10:96::/112"]
    async with served(service_cluster_ip_range=",".join(both)) as cluster:
        found = await cluster.client.get(SERVICE_CIDRS, "kubernetes")
        assert found["spec"]["cidrs"] == both
        await store(cluster, SERVICE_CIDRS, {**found, "spec": {"cidrs": both[:1]}})
        await trio.sleep(11)
        assert (await cluster.client.get(SERVICE_CIDRS, "kubernetes"))["spec"]["cidrs"] == both
        found = await cluster.client.get(SERVICE_CIDRS, "kubernetes")
        await store(cluster, SERVICE_CIDRS, {**found, "spec": {"cidrs": ["10.97.0.0/16", both[1]]}})
        await trio.sleep(60)
        given, wanted = "[10.97.0.0/16 fd00:10:96::/112]", "[10.96.0.0/16 fd00:10:96::/112]"
        why = f"The default ServiceCIDR {given} does not match the controller flag configurations {wanted}"
        assert ("KubernetesDefaultServiceCIDRInconsistent", why) in await told(cluster)
        assert len([each for each in await told(cluster) if each[0].startswith("Kubernetes")]) == 1


async def test_an_address_whose_record_is_lost_gets_it_back(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        await cluster.client.create(SERVICES, service(), "default")
        await cluster.client.delete(IP_ADDRESSES, "10.96.0.50")
        await trio.sleep(TEN_MINUTES)
        assert await owner(cluster) == "web"
        why = "Cluster IP [IPv4]: 10.96.0.50 is not allocated; repairing"
        assert await told(cluster) == [("ClusterIPNotAllocated", why)]
        with pytest.raises(StatusError, match="already allocated"):
            await cluster.client.create(SERVICES, service("other"), "default")


async def test_a_deleted_address_is_back_at_once_and_a_services_own_end_mends_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with served() as cluster:
        await cluster.client.create(SERVICES, service(), "default")
        await cluster.client.delete(IP_ADDRESSES, "10.96.0.50")
        await trio.sleep(0.1)
        assert await owner(cluster) == "web"
        await cluster.client.delete(SERVICES, "web", "default")
        revision = cluster.kernel.bus.revision
        await trio.sleep(TEN_MINUTES)
        assert await owner(cluster) == ""
        assert cluster.kernel.bus.revision == revision


async def test_a_leaked_address_is_freed(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        await cluster.client.create(SERVICES, service(), "default")
        await lose(cluster, SERVICES, "default", "web")
        await trio.sleep(TEN_MINUTES)
        assert await owner(cluster) == ""
        why = "IPAddress: 10.96.0.50 for Service default/web appears to have leaked: cleaning up"
        assert await told(cluster) == [("IPAddressNotAllocated", why)]
        await cluster.client.create(SERVICES, service(), "default")


async def test_an_address_in_a_wrong_name_goes_to_whom_it_belongs(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        await cluster.client.create(SERVICES, service(), "default")
        await cluster.client.create(SERVICES, service("other", "10.96.0.51"), "default")
        found = await cluster.client.get(IP_ADDRESSES, "10.96.0.50")
        parent = {**found["spec"]["parentRef"], "name": "other"}
        await store(cluster, IP_ADDRESSES, {**found, "spec": {"parentRef": parent}})
        await trio.sleep(TEN_MINUTES)
        assert await owner(cluster) == "web"
        assert await told(cluster) == [
            ("ClusterIPNotAllocated", "Cluster IP [IPv4]: 10.96.0.50 is not allocated; repairing"),
            (
                "IPAddressWrongReference",
                "IPAddress: 10.96.0.50 for Service default/other has a wrong reference; cleaning up",
            ),
        ]


async def test_two_services_with_one_address_or_port_are_for_a_person_to_mend(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with served() as cluster:
        ports = [{"port": 80, "nodePort": 30080}]
        made = await cluster.client.create(SERVICES, service(type="NodePort", ports=ports), "default")
        twin = {**made, "metadata": {**made["metadata"], "name": "twin", "uid": "twin"}}
        await store(cluster, SERVICES, twin)
        await trio.sleep(TEN_MINUTES)
        assert await owner(cluster) == "web"
        assert await told(cluster) == [
            (
                "ClusterIPAlreadyAllocated",
                "Cluster IP [IPv4]:10.96.0.50 was assigned to multiple services; please recreate service",
            ),
            ("PortAlreadyAllocated", "Port 30080 was assigned to multiple services; please recreate service"),
        ]


async def test_what_is_in_order_is_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        await cluster.client.create(SERVICES, service(type="NodePort"), "default")
        parent = {"group": "example.com", "resource": "gateways", "name": "g"}
        await cluster.client.create(IP_ADDRESSES, {"metadata": {"name": "10.96.0.60"}, "spec": {"parentRef": parent}})
        before = cluster.kernel.bus.revision
        await trio.sleep(7200)
        assert cluster.kernel.bus.revision == before
        assert await told(cluster) == []


# The pure part

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RANGES = repair.ranges_of([{"spec": {"cidrs": ["10.0.0.0/24"]}}])


def stored(name: str, *addresses: str, **spec: Any) -> Object:
    made = {"clusterIP": addresses[0] if addresses else "None", "clusterIPs": list(addresses) or ["None"], **spec}
    return {"metadata": {"namespace": "default", "name": name}, "spec": made}


def record(address: str, name: str, age: float = 3600) -> Object:
    made = ip_address_object(address, "default", name)
    made["metadata"]["creationTimestamp"] = rfc3339(NOW - timedelta(seconds=age))
    return made


def keyed(*services: Object) -> dict[tuple[str, str], Object]:
    return {("default", each["metadata"]["name"]): each for each in services}


def test_a_young_address_may_still_get_its_service() -> None:
    assert list(repair.of_addresses({}, {"10.0.0.9": record("10.0.0.9", "late", age=59)}, NOW)) == []
    assert len(list(repair.of_addresses({}, {"10.0.0.9": record("10.0.0.9", "late", age=61)}, NOW))) == 1


def test_an_address_made_over_to_something_else_is_taken_back() -> None:
    changed = record("10.0.0.9", "web")
    changed["spec"]["parentRef"] = {"group": "x.io", "resource": "foos", "name": "f"}
    (found,) = repair.of_addresses({}, {"10.0.0.9": changed}, NOW)
    assert (found.reason, found.step) == ("IPAddressNotAllocated", repair.DELETE)
    assert found.message == (
        "IPAddress 10.0.0.9 appears to have been modified, not referencing a Service "
        "&ParentReference{Group:x.io,Resource:foos,Namespace:,Name:f,}: cleaning up"
    )
    (found,) = repair.of_services(keyed(stored("web", "10.0.0.9")), {"10.0.0.9": changed}, RANGES)
    assert (found.reason, found.step) == ("ClusterIPNotAllocated", repair.RECREATE)
    assert found.message == "the ClusterIP [IPv4]: 10.0.0.9 for Service default/web has a wrong reference; repairing"


def test_an_address_outside_every_range_is_told_of() -> None:
    (found,) = repair.of_services(keyed(stored("web", "10.1.0.9")), {}, RANGES)
    assert (found.reason, found.step) == ("ClusterIPOutOfRange", "")
    assert found.message == (
        "Cluster IP [IPv4]: 10.1.0.9 is not within any configured Service CIDR; please recreate service"
    )


def test_lost_labels_are_mended_in_silence() -> None:
    bare = record("10.0.0.9", "web")
    del bare["metadata"]["labels"]
    (found,) = repair.of_services(keyed(stored("web", "10.0.0.9")), {"10.0.0.9": bare}, RANGES)
    assert (found.reason, found.step) == ("", repair.RECREATE)


def test_ports_are_counted_as_kubernetes_counts_them() -> None:
    shared = [{"nodePort": 30053, "protocol": "UDP"}, {"nodePort": 30053, "protocol": "TCP"}]
    assert list(repair.of_ports([stored("dns", ports=shared)], 30000, 32767)) == []
    twice = [{"nodePort": 30053, "protocol": "UDP"}, {"nodePort": 30053, "protocol": "UDP"}]
    (found,) = repair.of_ports([stored("dns", ports=twice)], 30000, 32767)
    assert found.reason == "PortAlreadyAllocated"
    (found,) = repair.of_ports([stored("dns", healthCheckNodePort=80)], 30000, 32767)
    assert found.message == "Port 80 is not within the port range 30000-32767; please recreate service"


hosts = st.integers(1, 6).map(lambda host: f"10.0.0.{host}")
names = st.sampled_from(["a", "b", "c", "gone"])


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), hosts), st.dictionaries(hosts, names))
def test_mending_ends_with_every_address_in_one_services_name(wanted: dict[str, str], written: dict[str, str]) -> None:
    services = keyed(*(stored(name, address) for name, address in wanted.items()))
    found = {address: record(address, name) for address, name in written.items()}
    for _ in range(3):
        steps = [*repair.of_services(services, found, RANGES), *repair.of_addresses(services, found, NOW)]
        mended: set[str] = set()
        for step in steps:
            if not step.step or step.address in mended:
                continue
            mended.add(step.address)
            found.pop(step.address, None)
            if step.service is not None:
                found[step.address] = record(step.address, step.service["metadata"]["name"])
    assert set(found) == set(wanted.values())
    for address, each in found.items():
        assert wanted[each["spec"]["parentRef"]["name"]] == address
