"""The components in a cluster, in virtual time, on a fake kernel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import pytest
import trio

from kubrick_api_core import NODES, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_api_networking import SERVICE_CIDRS
from kubrick_kernel import Composition, ConfigurationError, Kernel
from kubrick_proxy_nftables.conntrack import Fronts, changes, stale
from kubrick_proxy_nftables.guard import Guard
from kubrick_proxy_nftables.netlink import Flow
from kubrick_proxy_nftables.proxy import Proxy
from kubrick_proxy_nftables.settings import Settings
from kubrick_proxy_nftables.testing import FakeNft, Packet, Tracer
from kubrick_testing import Cluster, build

Object = dict[str, Any]
SETTINGS = Settings(node_name="node-1", healthz_listen="", metrics_listen="", health_check_address="127.0.0.1")
IP = ("ip", "kube-proxy")


def endpoints(*addresses: str, service: str = "web", protocol: str = "TCP") -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-1", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": protocol}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


def web(**spec: Any) -> Object:
    return build.service("web", clusterIP="10.96.0.9", **{"selector": None, **spec})


@asynccontextmanager
async def running(cluster: Cluster, nft: FakeNft, settings: Settings = SETTINGS) -> AsyncIterator[Proxy]:
    guard = Guard(cluster.kernel, settings, lambda: nft)
    proxy = Proxy(cluster.kernel, settings, guard)
    async with trio.open_nursery() as nursery:
        await nursery.start(guard.run)
        await nursery.start(proxy.run)
        yield proxy
        nursery.cancel_scope.cancel()


async def seen(proxy: Proxy) -> None:
    """Let the watches bring what was written, and the proxy send it."""
    await trio.sleep(0.01)
    await proxy.settled()


def targets(nft: FakeNft, address: str = "10.96.0.9", port: int = 80) -> set[str]:
    outcomes = Tracer(nft, ["172.16.0.2"]).outcomes(Packet("10.0.0.1", address, port))
    return {outcome.destination or outcome.verdict for outcome in outcomes}


async def test_service_addresses_are_rejected_before_there_is_anything_else(
    cluster: Cluster, autojump_clock: object
) -> None:
    nft = FakeNft()
    async with trio.open_nursery() as nursery:
        await nursery.start(Guard(cluster.kernel, SETTINGS, lambda: nft).run)
        assert targets(nft) == {"reject"}
        nursery.cancel_scope.cancel()
    assert nft.listing() == ""


async def test_a_service_is_sent_and_what_changes_nothing_is_not(cluster: Cluster, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        service = deepcopy(await cluster.client.create(SERVICES, web(), "default"))
        await cluster.client.create(ENDPOINT_SLICES, endpoints("10.1.0.1", "10.1.0.2"), "default")
        await seen(proxy)
        assert targets(nft) == {"10.1.0.1", "10.1.0.2"}
        await trio.sleep(10)
        sent = len(nft.transactions)
        service["metadata"]["annotations"] = {"note": "new"}
        await cluster.client.update(SERVICES, service)
        await seen(proxy)
        await trio.sleep(60)
        assert len(nft.transactions) == sent


async def test_a_burst_of_changes_is_a_few_transactions(cluster: Cluster, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        await cluster.client.create(SERVICES, web(), "default")
        piece = await cluster.client.create(ENDPOINT_SLICES, endpoints("10.1.0.1"), "default")
        await seen(proxy)
        await trio.sleep(30)
        sent = len(nft.transactions)
        for number in range(40):
            piece = deepcopy(piece)
            piece["endpoints"][0]["addresses"] = [f"10.1.1.{number}"]
            piece = await cluster.client.update(ENDPOINT_SLICES, piece)
            await trio.sleep(0.01)
        await seen(proxy)
        assert targets(nft) == {"10.1.1.39"}
        assert 3 <= len(nft.transactions) - sent <= 6


async def test_a_refused_transaction_makes_all_anew_until_it_is_taken(cluster: Cluster, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        nft.broken = "Cannot allocate memory"
        await cluster.client.create(SERVICES, web(), "default")
        await cluster.client.create(ENDPOINT_SLICES, endpoints("10.1.0.1"), "default")
        await trio.sleep(100)
        assert proxy.metrics.failures > 3
        nft.broken = ""
        await seen(proxy)
        assert targets(nft) == {"10.1.0.1"}
        assert nft.transactions[-1].startswith("add table ip kube-proxy\ndelete table ip kube-proxy\n")


@pytest.mark.parametrize("harm", ["delete table ip kube-proxy\n", "flush table ip kube-proxy\n"])
async def test_a_table_that_somebody_flushed_is_made_anew(cluster: Cluster, harm: str, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        await cluster.client.create(SERVICES, web(), "default")
        await cluster.client.create(ENDPOINT_SLICES, endpoints("10.1.0.1"), "default")
        await seen(proxy)
        nft.run("add table ip stranger\n")
        await trio.sleep(10)
        assert proxy.metrics.rebuilt == 0
        nft.run(harm)
        await trio.sleep(SETTINGS.check_period + 1)
        assert targets(nft) == {"10.1.0.1"}
        assert proxy.metrics.rebuilt == 1


async def test_everything_is_written_again_every_hour(cluster: Cluster, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        await cluster.client.create(SERVICES, web(sessionAffinity="ClientIP"), "default")
        await cluster.client.create(ENDPOINT_SLICES, endpoints("10.1.0.1"), "default")
        await seen(proxy)
        Tracer(nft, []).send(Packet("10.0.0.1", "10.96.0.9", 80), lambda size: 0)
        before = nft.listing()
        assert "    10.0.0.1\n" in before
        del nft.tables[IP].sets["service-ips"].elements["10.96.0.9 . tcp . 80"]
        await trio.sleep(SETTINGS.full_resync_period + 10)
        assert nft.listing() == before


async def test_a_chain_nobody_needs_goes_a_second_later(cluster: Cluster, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        await cluster.client.create(SERVICES, web(), "default")
        await cluster.client.create(ENDPOINT_SLICES, endpoints("10.1.0.1", "10.1.0.2"), "default")
        await seen(proxy)
        await cluster.client.delete(SERVICES, "web", "default")
        await seen(proxy)
        assert nft.tables[IP].chains["pick-tcp-2"].rules == []
        await trio.sleep(3)
        assert "pick-tcp-2" not in nft.tables[IP].chains
        assert targets(nft) == {"reject"}


async def test_the_nodes_own_pods_are_told_apart_once_the_node_says_which(
    cluster: Cluster, autojump_clock: object
) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        assert not any("saddr !=" in rule for rule in nft.tables[IP].chains["services"].rules)
        node = build.node("node-1")
        node["spec"] = {"podCIDR": "10.128.1.0/24", "podCIDRs": ["10.128.1.0/24"]}
        node["status"]["addresses"] = [{"type": "InternalIP", "address": "172.16.0.2"}]
        await cluster.client.create(NODES, node)
        await seen(proxy)
        assert "ip saddr != 10.128.1.0/24" in nft.tables[IP].chains["services"].rules[0]
        assert list(nft.tables[IP].sets["nodeport-ips"].elements) == ["172.16.0.2/32"]


async def test_a_new_range_for_services_is_guarded_too(cluster: Cluster, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        cidr = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"}}
        await cluster.client.create(SERVICE_CIDRS, {**cidr, "spec": {"cidrs": ["10.200.0.0/24"]}})
        await seen(proxy)
        assert targets(nft, "10.200.0.7") == {"reject"}


async def test_udp_clients_of_endpoints_that_are_gone_are_forgotten(cluster: Cluster, autojump_clock: object) -> None:
    nft = FakeNft()
    async with running(cluster, nft) as proxy:
        await cluster.client.create(SERVICES, web(ports=[{"port": 53, "protocol": "UDP"}]), "default")
        piece = endpoints("10.1.0.1", "10.1.0.2", protocol="UDP")
        piece = deepcopy(await cluster.client.create(ENDPOINT_SLICES, piece, "default"))
        await seen(proxy)
        stays = Flow("10.96.0.9", 53, "10.1.0.2", 8080, b"")
        goes = Flow("10.96.0.9", 53, "10.1.0.1", 8080, b"")
        other = Flow("8.8.8.8", 53, "8.8.8.8", 53, b"")
        nft.flows["ip"] += [stays, goes, other]
        del piece["endpoints"][0]
        await cluster.client.update(ENDPOINT_SLICES, piece)
        await seen(proxy)
        assert nft.flows["ip"] == [stays, other]
        await cluster.client.delete(SERVICES, "web", "default")
        await seen(proxy)
        assert nft.flows["ip"] == [other]


def test_a_programs_own_traffic_to_a_node_port_is_no_stale_flow() -> None:
    new = Fronts({}, {30053: frozenset({("10.1.0.1", 53)})})
    own = Flow("192.0.2.1", 30053, "192.0.2.1", 30053, b"")
    dead = Flow("172.16.0.2", 30053, "10.1.0.9", 53, b"")
    assert list(stale([own, dead], changes([(Fronts(), new)]))) == [dead]
    assert not changes([(new, new)])


async def test_a_health_check_follows_its_service(cluster: Cluster) -> None:
    async with running(cluster, FakeNft()) as proxy:
        spec: Object = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
        service = await cluster.client.create(SERVICES, web(**spec), "default")
        port = service["spec"]["healthCheckNodePort"]
        piece = endpoints("10.1.0.1", "10.1.0.2")
        piece["endpoints"][0]["nodeName"] = "node-1"
        await cluster.client.create(ENDPOINT_SLICES, piece, "default")
        await seen(proxy)
        answer = await get(port, "/")
        assert answer.startswith("HTTP/1.1 200 OK")
        assert '"localEndpoints": 1' in answer
        await cluster.client.delete(ENDPOINT_SLICES, "web-1", "default")
        await seen(proxy)
        assert (await get(port, "/")).startswith("HTTP/1.1 503")
        await cluster.client.delete(SERVICES, "web", "default")
        await seen(proxy)
        await trio.sleep(0.1)
        with pytest.raises(OSError, match="connect"):
            await get(port, "/")


async def test_healthz_and_metrics_answer(cluster: Cluster) -> None:
    settings = Settings(node_name="node-1", healthz_listen="127.0.0.1:0", metrics_listen="127.0.0.1:0")
    async with running(cluster, FakeNft(), settings) as proxy:
        assert (await get(proxy.ports["healthz"], "/healthz")).startswith("HTTP/1.1 200 OK")
        assert (await get(proxy.ports["healthz"], "/livez")).startswith("HTTP/1.1 200 OK")
        assert "404" in await get(proxy.ports["healthz"], "/nothing")
        assert "kubeproxy_sync_full_proxy_rules_duration_seconds_count 1.0" in await get(
            proxy.ports["metrics"], "/metrics"
        )
        assert (await get(proxy.ports["metrics"], "/proxyMode")).endswith("nftables")


async def get(port: int, path: str) -> str:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join([piece async for piece in stream]).decode()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"service_cidrs": ["10.96.0.0/33"]}, "service_cidrs: '10.96.0.0/33' is no address range"),
        ({"nodeport_addresses": ["eth0"]}, "nodeport_addresses: 'eth0'"),
        ({"masquerade_bit": 32}, "masquerade_bit"),
    ],
)
def test_a_setting_that_makes_no_sense_is_said(table: Object, said: str) -> None:
    composition = Composition(
        profile="api", store="memory", enable=("proxy-nftables",), plugins={"proxy-nftables": table}
    )
    kernel = Kernel(composition)
    problems = [line for lines in kernel.plugins.hook.kubrick_register_checks(kernel=kernel) for line in lines]
    assert any(said in line for line in problems)
    with pytest.raises(ConfigurationError, match=said.split("'")[0]):
        kernel.settings("proxy-nftables").check()


def test_the_plugin_brings_the_guard_before_the_proxy() -> None:
    kernel = Kernel(Composition(profile="api", store="memory", enable=("proxy-nftables",)))
    names = list(kernel.readiness())
    assert names.index("proxy-guard") < names.index("proxy")
    assert kernel.find(Proxy).requires == ("proxy-guard", "apiserver?")
