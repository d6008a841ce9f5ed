"""Random clusters and histories: the incremental table equals the one made from scratch, and every packet goes
where Kubernetes wants it."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubrick_proxy_nftables.compiler import compile_service
from kubrick_proxy_nftables.families import IPV4, IPV6
from kubrick_proxy_nftables.rules import GUARD, NODE, guard_part, node_part
from kubrick_proxy_nftables.ruleset import Ruleset
from kubrick_proxy_nftables.services import key_of
from kubrick_proxy_nftables.settings import Settings
from kubrick_proxy_nftables.testing import FakeNft, Packet, Tracer
from kubrick_proxy_nftables.testing.semantics import Network
from kubrick_proxy_nftables.topology import Node

Object = dict[str, Any]

HERE = Node("node-1", "zone-a", ("172.16.0.2", "fd00::2"), ("10.128.1.0/24", "fd01::/64"))
LOCAL = ("127.0.0.1", "172.16.0.2", "172.17.0.1", "fd00::2", "::1")
SERVICE_RANGES = ("10.96.0.0/16", "fd02::/112")
POOL = ["10.128.1.5", "10.128.1.6", "10.128.2.5", "10.128.2.6", "172.16.0.2", "fd01::5", "fd03::5"]
SOURCES = ["10.128.1.5", "10.128.1.9", "10.128.2.5", "172.16.0.2", "198.51.100.7", "192.0.2.1"]
SOURCES_6 = ["fd01::5", "fd01::9", "fd03::5", "fd00::2", "2001:db8::7"]
PROTOCOLS = ["TCP", "UDP", "SCTP"]
NUMBERS = range(1, 5)

labels = st.sampled_from([{}, {}, {}, {"service.kubernetes.io/service-proxy-name": "other"}])
hints = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "forZones": st.lists(st.sampled_from(["zone-a", "zone-b"]).map(lambda name: {"name": name}), max_size=2),
            "forNodes": st.lists(st.sampled_from(["node-1", "node-2"]).map(lambda name: {"name": name}), max_size=1),
        },
    ),
)
conditions = st.sampled_from(
    [
        {},
        {"ready": True},
        {"ready": True, "serving": True, "terminating": False},
        {"ready": False, "serving": True, "terminating": True},
        {"ready": False, "serving": False, "terminating": True},
        {"ready": False},
    ]
)


@st.composite
def services(draw: st.DrawFn, number: int) -> Object:
    """The service of that number: no address or port of it is any other's."""
    kind = draw(st.sampled_from(["ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]))
    metadata = {"namespace": "shop", "name": f"web-{number}", "labels": draw(labels)}
    if kind == "ExternalName":
        return {"metadata": metadata, "spec": {"type": kind, "externalName": "example.com"}}
    if draw(st.integers(0, 9)) == 0:
        return {"metadata": metadata, "spec": {"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]}}
    ips = draw(st.sampled_from([[f"10.96.0.{number}"], [f"10.96.0.{number}", f"fd02::{number}"]]))
    spec: Object = {"type": kind, "clusterIP": ips[0], "clusterIPs": ips}
    spec["ports"] = [
        {"name": f"port-{place}", "port": 80 + place, "protocol": protocol}
        | ({"nodePort": 30000 + 10 * number + place} if kind != "ClusterIP" else {})
        for place, protocol in enumerate(draw(st.lists(st.sampled_from(PROTOCOLS), min_size=1, max_size=2)))
    ]
    spec["externalIPs"] = draw(st.sampled_from([[], [], [f"203.0.113.{number}"]]))
    spec["internalTrafficPolicy"] = draw(st.sampled_from(["Cluster", "Cluster", "Local"]))
    spec["sessionAffinity"] = draw(st.sampled_from(["None", "None", "ClientIP"]))
    status: Object = {}
    if kind != "ClusterIP" or spec["externalIPs"]:
        spec["externalTrafficPolicy"] = draw(st.sampled_from(["Cluster", "Local"]))
    if kind == "LoadBalancer":
        ingress = [{"ip": f"203.0.114.{number}"}, {"ip": f"203.0.115.{number}", "ipMode": "Proxy"}, {"hostname": "x"}]
        status = {"loadBalancer": {"ingress": draw(st.lists(st.sampled_from(ingress), max_size=3, unique_by=str))}}
        ranges = [[], ["198.51.100.0/24"], ["172.16.0.0/12", "192.0.2.1/32"], ["0.0.0.0/0"]]
        spec["loadBalancerSourceRanges"] = draw(st.sampled_from(ranges))
    return {"metadata": metadata, "spec": spec, "status": status}


@st.composite
def slices(draw: st.DrawFn, number: int) -> list[Object]:
    found = []
    for version in ("IPv4", "IPv6"):
        pool = [address for address in POOL if (":" in address) == (version == "IPv6")]
        protocols = draw(st.lists(st.sampled_from(PROTOCOLS), min_size=2, max_size=2))
        endpoints = [
            {
                "addresses": [address],
                "nodeName": "node-1" if address in LOCAL or address.startswith(("10.128.1.", "fd01:")) else "node-2",
                "conditions": draw(conditions),
                "hints": draw(hints),
            }
            for address in draw(st.lists(st.sampled_from(pool), unique=True, max_size=4))
        ]
        found.append(
            {
                "metadata": {"namespace": "shop", "name": f"web-{number}-{version}"},
                "addressType": version,
                "ports": [
                    {"name": f"port-{place}", "port": 8080 + place, "protocol": protocol}
                    for place, protocol in enumerate(protocols)
                ],
                "endpoints": endpoints,
            }
        )
    return found


@st.composite
def steps(draw: st.DrawFn) -> tuple[int, Object | None, list[Object]]:
    number = draw(st.sampled_from(NUMBERS))
    gone = draw(st.integers(0, 4)) == 0
    return number, None if gone else draw(services(number)), draw(slices(number))


configurations = st.builds(
    Settings,
    detect_local=st.sampled_from(["node-cidr", "none"]),
    masquerade_all=st.booleans(),
    nodeport_addresses=st.sampled_from([("primary",), ("0.0.0.0/0", "::/0")]),
)


class World:
    """A cluster, the proxy's tables for it, and a kernel that was sent every difference."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.services: dict[str, Object] = {}
        self.slices: dict[str, list[Object]] = {}
        self.nft = FakeNft()
        self.policies = {family: settings.policy(family, HERE) for family in (IPV4, IPV6)}
        self.rulesets = self.begun()
        self.nft.run("".join(ruleset.scratch() for ruleset in self.rulesets.values()))
        self.now = 0.0

    def begun(self) -> dict[Any, Ruleset]:
        rulesets = {family: Ruleset(family) for family in self.policies}
        for family, ruleset in rulesets.items():
            node = node_part(family, HERE, self.policies[family])
            ruleset.update({GUARD: guard_part(family, SERVICE_RANGES), NODE: node}, 0)
        return rulesets

    def take(self, number: int, service: Object | None, pieces: list[Object]) -> None:
        key = f"shop/web-{number}"
        self.slices[key] = pieces
        self.services.pop(key, None)
        if service:
            self.services[key] = service
        parts = compile_service(service, pieces, HERE, self.policies).parts if service else {}
        self.now += 0.6
        commands = "".join(
            ruleset.update({key: parts.get(family)}, self.now) for family, ruleset in self.rulesets.items()
        )
        if commands:
            self.nft.run(commands)

    def settle(self) -> None:
        """Let retired chains go."""
        self.nft.run("".join(ruleset.update({}, self.now + 5) for ruleset in self.rulesets.values()))

    def scratch(self) -> FakeNft:
        nft, rulesets = FakeNft(), self.begun()
        for service in self.services.values():
            key = key_of(service)
            parts = compile_service(service, self.slices[key], HERE, self.policies).parts
            for family, ruleset in rulesets.items():
                ruleset.update({key: parts.get(family)}, 0)
        nft.run("".join(ruleset.scratch() for ruleset in rulesets.values()))
        return nft

    def network(self) -> Network:
        everywhere = "0.0.0.0/0" in self.settings.nodeport_addresses
        reached = [a for a in LOCAL if a not in ("127.0.0.1", "::1")] if everywhere else HERE.addresses
        return Network(
            list(self.services.values()),
            self.slices,
            node=HERE.name,
            zone=HERE.zone,
            addresses=LOCAL,
            node_port_addresses=[*reached],
            pod_ranges=HERE.pod_cidrs if self.settings.detect_local == "node-cidr" else (),
            service_ranges=SERVICE_RANGES,
            masquerade_all=self.settings.masquerade_all,
        )


def packets(world: World) -> Sequence[Packet]:
    """To every front of every service, right and wrong; and to nobody's."""
    destinations: dict[str, set[int]] = {"10.96.7.7": {80}, "8.8.8.8": {80}, "172.17.0.1": {22}, "fd02::77": {80}}
    for service in world.services.values():
        ports = service["spec"].get("ports") or []
        fronts = [ip for ip in service["spec"].get("clusterIPs") or [] if ip != "None"]
        fronts += service["spec"].get("externalIPs") or []
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        fronts += [entry["ip"] for entry in ingress if "ip" in entry]
        for address in fronts:
            destinations.setdefault(address, {443}).update(port["port"] for port in ports)
        for address in ("172.16.0.2", "172.17.0.1", "127.0.0.1", "fd00::2"):
            destinations.setdefault(address, set()).update(port.get("nodePort", 1) for port in ports)
    return [
        Packet(source, destination, port, protocol, local=source in LOCAL)
        for destination, ports in destinations.items()
        for source in (SOURCES_6 if ":" in destination else SOURCES)
        for port in ports
        for protocol in ("tcp", "udp", "sctp")
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(steps(), max_size=10), configurations)
def test_a_history_ends_in_the_table_that_its_end_makes(
    history: list[tuple[int, Object | None, list[Object]]], configuration: Settings
) -> None:
    world = World(configuration)
    for number, service, pieces in history:
        world.take(number, service, pieces)
    world.settle()
    assert world.nft.listing() == world.scratch().listing()


@settings(max_examples=80, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=4), configurations)
def test_every_packet_goes_where_kubernetes_wants_it(
    history: list[tuple[int, Object | None, list[Object]]], configuration: Settings
) -> None:
    world = World(configuration)
    for number, service, pieces in history:
        world.take(number, service, pieces)
    network, tracer = world.network(), Tracer(world.nft, LOCAL)
    for packet in packets(world):
        outcomes = tracer.outcomes(packet)
        assert outcomes == network.expected(packet), f"{packet}\n" + "\n".join(tracer.path)
