"""Services through an API server: addresses, node ports, defaults, refusals."""

import ipaddress
from typing import Any

import pytest
import trio

from kubrick_api.errors import StatusError
from kubrick_api_core import SERVICES
from kubrick_api_core.service_allocation import IP_ADDRESSES, SERVICE_CIDRS
from kubrick_testing import Cluster

Object = dict[str, Any]


def service(name: str = "web", **spec: Any) -> Object:
    defaults: Object = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {**defaults, **spec}}


async def refusal(api: Cluster, made: Object) -> str:
    with pytest.raises(StatusError) as caught:
        await api.client.create(SERVICES, made, "default")
    return caught.value.message


async def test_a_service_gets_an_address_that_an_ipaddress_object_owns(api: Cluster) -> None:
    made = await api.client.create(SERVICES, service(), "default")
    spec = made["spec"]
    assert ipaddress.ip_address(spec["clusterIP"]) in ipaddress.ip_network("10.96.0.0/16")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    owner = await api.client.get(IP_ADDRESSES, spec["clusterIP"])
    assert owner["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "web"} | (
        {"group": ""} if "group" in owner["spec"]["parentRef"] else {}
    )


async def test_the_servers_own_objects_are_owned_by_it(api: Cluster) -> None:
    made = await api.client.create(SERVICES, service(), "default")
    (owner,) = (await api.client.get(IP_ADDRESSES, made["spec"]["clusterIP"]))["metadata"]["managedFields"]
    assert (owner["manager"], owner["operation"], owner["apiVersion"]) == (
        "kube-apiserver",
        "Update",
        "networking.k8s.io/v1",
    )
    assert set(owner["fieldsV1"]) == {"f:metadata", "f:spec"}
    assert set(owner["fieldsV1"]["f:metadata"]) == {"f:labels"}


async def test_a_deleted_services_address_is_free_again(api: Cluster) -> None:
    await api.client.create(SERVICES, service(clusterIP="10.96.0.50"), "default")
    await api.client.delete(SERVICES, "web", "default")
    with pytest.raises(StatusError):
        await api.client.get(IP_ADDRESSES, "10.96.0.50")
    again = await api.client.create(SERVICES, service("other", clusterIP="10.96.0.50"), "default")
    assert again["spec"]["clusterIP"] == "10.96.0.50"


async def test_an_address_taken_or_out_of_range_is_refused_in_kubernetes_words(api: Cluster) -> None:
    await api.client.create(SERVICES, service(clusterIP="10.96.0.50"), "default")
    assert await refusal(api, service("b", clusterIP="10.96.0.50")) == (
        'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.50"]: '
        "failed to allocate IP 10.96.0.50: provided IP is already allocated"
    )
    assert await refusal(api, service("b", clusterIP="10.1.0.1")) == (
        'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.1.0.1"]: '
        "failed to allocate IP 10.1.0.1: the provided network does not match the current range"
    )


async def test_a_refused_service_gives_its_address_back(api: Cluster) -> None:
    broken = service(clusterIP="10.96.0.51", ports=[{"port": 0}])
    assert "spec.ports[0].port" in await refusal(api, broken)
    assert (await api.client.create(SERVICES, service(clusterIP="10.96.0.51"), "default"))["spec"]["clusterIP"]


async def test_a_dry_run_takes_nothing(api: Cluster) -> None:
    shown = await api.client.create(SERVICES, service(clusterIP="10.96.0.52"), "default", dry_run=True)
    assert shown["spec"]["clusterIP"] == "10.96.0.52"
    await api.client.create(SERVICES, service(clusterIP="10.96.0.52"), "default")


async def test_services_created_at_once_share_no_address_and_no_port(api: Cluster) -> None:
    made: list[Object] = []

    async def create(i: int) -> None:
        made.append(await api.client.create(SERVICES, service(f"s{i}", type="NodePort"), "default"))

    async with trio.open_nursery() as nursery:
        for i in range(40):
            nursery.start_soon(create, i)
    assert len({each["spec"]["clusterIP"] for each in made}) == 40
    assert len({each["spec"]["ports"][0]["nodePort"] for each in made}) == 40


async def test_an_update_that_leaves_allocated_values_out_keeps_them(api: Cluster) -> None:
    made = await api.client.create(SERVICES, service(type="NodePort"), "default")
    changed = service(type="NodePort", selector={"app": "other"})
    changed["metadata"] |= {"resourceVersion": made["metadata"]["resourceVersion"], "namespace": "default"}
    updated = await api.client.update(SERVICES, changed)
    assert updated["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert updated["spec"]["ports"][0]["nodePort"] == made["spec"]["ports"][0]["nodePort"]


async def test_a_cluster_ip_does_not_change(api: Cluster) -> None:
    await api.client.create(SERVICES, service(), "default")
    with pytest.raises(StatusError, match="may not change once set"):
        await api.client.patch(SERVICES, "web", {"spec": {"clusterIP": "10.96.0.99"}}, "default")


async def test_turning_into_an_external_name_lets_the_address_go(api: Cluster) -> None:
    made = await api.client.create(SERVICES, service(), "default")
    patch = {"spec": {"type": "ExternalName", "externalName": "example.com"}}
    updated = await api.client.patch(SERVICES, "web", patch, "default")
    assert "clusterIP" not in updated["spec"]
    with pytest.raises(StatusError):
        await api.client.get(IP_ADDRESSES, made["spec"]["clusterIP"])


async def test_a_node_port_becomes_free_when_its_service_is_a_cluster_ip_again(api: Cluster) -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    await api.client.create(SERVICES, service(type="NodePort", ports=ports), "default")
    assert "provided port is already allocated" in await refusal(api, service("b", type="NodePort", ports=ports))
    updated = await api.client.patch(SERVICES, "web", {"spec": {"type": "ClusterIP"}}, "default")
    assert "nodePort" not in updated["spec"]["ports"][0]
    await api.client.create(SERVICES, service("b", type="NodePort", ports=ports), "default")


async def test_two_protocols_of_one_port_share_a_node_port(api: Cluster) -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    made = await api.client.create(SERVICES, service(type="NodePort", ports=ports), "default")
    assert len({port["nodePort"] for port in made["spec"]["ports"]}) == 1


async def test_headless_services_have_no_address(api: Cluster) -> None:
    made = await api.client.create(SERVICES, service(clusterIP="None"), "default")
    assert made["spec"]["clusterIPs"] == ["None"]
    listed = await api.client.list(IP_ADDRESSES)
    owners = [item["spec"]["parentRef"]["name"] for item in listed["items"]]
    assert "web" not in owners


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"ports": []}, "spec.ports: Required value"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name: Required value"),
        ({"type": "Weird"}, 'spec.type: Unsupported value: "Weird": supported values: "ClusterIP", "ExternalName", '),
        ({"type": "ExternalName", "externalName": ""}, "spec.externalName: Required value"),
        (
            {"ports": [{"port": 80, "nodePort": 30001}]},
            "nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        ({"sessionAffinity": "Always"}, 'spec.sessionAffinity: Unsupported value: "Always"'),
        ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, "The range of valid ports is 30000-32767"),
    ],
)
async def test_a_wrong_service_is_refused(api: Cluster, spec: Object, wanted: str) -> None:
    assert wanted in await refusal(api, service(**spec))


def service_cidr(name: str, *cidrs: str) -> Object:
    spec = {"cidrs": list(cidrs)}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": name}, "spec": spec}


async def test_the_kubernetes_service_owns_its_address_from_the_start(api: Cluster) -> None:
    owner = await api.client.get(IP_ADDRESSES, "10.96.0.1")
    assert owner["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "kubernetes"}
    assert (await api.client.get(SERVICE_CIDRS, "kubernetes"))["spec"] == {"cidrs": ["10.96.0.0/16"]}


async def test_a_further_service_cidr_extends_the_range_until_it_is_not_ready(api: Cluster) -> None:
    mismatch = "the provided network does not match the current range"
    assert mismatch in await refusal(api, service("a", clusterIP="10.200.0.5"))
    made = await api.client.create(SERVICE_CIDRS, service_cidr("more", "10.200.0.0/24"))
    await api.client.create(SERVICES, service("a", clusterIP="10.200.0.5"), "default")
    closed = {**made, "status": {"conditions": [_condition("False")]}}
    await api.client.update(SERVICE_CIDRS, closed, subresource="status")
    assert mismatch in await refusal(api, service("b", clusterIP="10.200.0.6"))
    await api.client.delete(SERVICES, "a", "default")
    with pytest.raises(StatusError):
        await api.client.get(IP_ADDRESSES, "10.200.0.5")


def _condition(status: str) -> Object:
    return {
        "type": "Ready",
        "status": status,
        "reason": "Because",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


async def test_one_number_serves_both_protocols_of_a_port_and_one_service(api: Cluster) -> None:
    both = [{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}]
    made = await api.client.create(SERVICES, service("dns", type="NodePort", ports=both), "default")
    first, second = (port["nodePort"] for port in made["spec"]["ports"])
    assert first == second
    other = service("b", type="NodePort", ports=[{"port": 1, "nodePort": first, "protocol": "SCTP"}])
    assert await refusal(api, other) == (
        f'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: {first}: provided port is already allocated'
    )


async def test_a_load_balancer_with_local_traffic_gets_a_health_port_and_keeps_it(api: Cluster) -> None:
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = await api.client.create(SERVICES, service(**local), "default")
    port = made["spec"]["healthCheckNodePort"]
    assert port not in {each["nodePort"] for each in made["spec"]["ports"]}
    with pytest.raises(StatusError, match=r"spec.healthCheckNodePort: Forbidden: field is immutable"):
        await api.client.patch(SERVICES, "web", {"spec": {"healthCheckNodePort": 31999}}, "default")
    after = await api.client.patch(SERVICES, "web", {"spec": {"externalTrafficPolicy": "Cluster"}}, "default")
    assert "healthCheckNodePort" not in after["spec"]


async def test_without_a_selector_and_headless_a_service_has_both_families(api: Cluster) -> None:
    body = service(clusterIP="None")
    del body["spec"]["selector"]
    made = (await api.client.create(SERVICES, body, "default"))["spec"]
    assert (made["clusterIPs"], made["ipFamilies"], made["ipFamilyPolicy"]) == (
        ["None"],
        ["IPv4", "IPv6"],
        "RequireDualStack",
    )
