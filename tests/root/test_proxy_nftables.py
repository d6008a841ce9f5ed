"""Services for real: a node, two pods on it, one elsewhere and a client outside, each a network namespace that the
test made, without a default route. The proxy runs in the node's; connections are real ones."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kubrick_network.namespace import inside
from kubrick_proxy_nftables.compiler import compile_service
from kubrick_proxy_nftables.families import IPV4, IPV6
from kubrick_proxy_nftables.nft import Library, Nft, Program, Refused
from kubrick_proxy_nftables.rules import GUARD, Policy, guard_part, node_part
from kubrick_proxy_nftables.rules import NODE as NODE_OWNER
from kubrick_proxy_nftables.ruleset import Ruleset
from kubrick_proxy_nftables.testing import FakeNft
from kubrick_proxy_nftables.topology import Node as TheNode

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

Object = dict[str, Any]

HOME = os.readlink("/proc/self/ns/net")
DRIVER = Path(__file__).parent / "proxy_driver.py"
PREFIX = f"kbxp{os.getpid()}"
NODE, OUTSIDE = "node", "outside"
NODE_ADDRESS, OUTSIDE_ADDRESS = "172.31.0.2", "172.31.0.9"
PODS = {
    "here-1": ("10.128.1.11", "fd01::11"),
    "here-2": ("10.128.1.12", "fd01::12"),
    "there": ("10.128.2.11", "fd03::11"),
}
PORT = 8080
SOON = 1.0
"""Seconds in which a refusal must come: well before a first SYN would be sent again."""


def namespace(name: str) -> str:
    return f"/run/netns/{PREFIX}-{name}"


def sh(line: str, ns: str = "") -> None:
    command = ["nsenter", f"--net={namespace(ns)}", *line.split()] if ns else line.split()
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def connect_pod(name: str, number: int, addresses: tuple[str, str]) -> None:
    """A cable to the node; the pod can reach pods, services and the outside's network, and nothing else."""
    ipv4, ipv6 = addresses
    sh(f"ip link add eth0 netns {PREFIX}-{name} type veth peer name pod{number} netns {PREFIX}-{NODE}")
    for line in ("ip link set lo up", "ip link set eth0 up", f"ip addr add {ipv4}/32 dev eth0"):
        sh(line, name)
    sh(f"ip -6 addr add {ipv6}/128 dev eth0 nodad", name)
    sh("ip route add 169.254.1.1 dev eth0", name)
    for network in ("10.96.0.0/16", "10.128.0.0/16", "172.31.0.0/24", "203.0.113.0/24"):
        sh(f"ip route add {network} via 169.254.1.1 dev eth0", name)
    sh("ip -6 route add fe80::1 dev eth0", name)
    for network in ("fd02::/112", "fd01::/64", "fd03::/64"):
        sh(f"ip -6 route add {network} via fe80::1 dev eth0", name)
    sh(f"ip link set pod{number} up", NODE)
    sh(f"ip addr add 169.254.1.1/32 dev pod{number}", NODE)
    sh(f"ip -6 addr add fe80::1/64 dev pod{number} nodad", NODE)
    sh(f"ip route add {ipv4}/32 dev pod{number}", NODE)
    sh(f"ip -6 route add {ipv6}/128 dev pod{number}", NODE)


def connect_outside() -> None:
    sh(f"ip link add eth0 netns {PREFIX}-{OUTSIDE} type veth peer name eth0 netns {PREFIX}-{NODE}")
    for name, address in ((OUTSIDE, OUTSIDE_ADDRESS), (NODE, NODE_ADDRESS)):
        for line in ("ip link set lo up", "ip link set eth0 up", f"ip addr add {address}/24 dev eth0"):
            sh(line, name)
    for network in ("203.0.113.0/24", "10.96.0.0/16"):
        sh(f"ip route add {network} via {NODE_ADDRESS}", OUTSIDE)
    sh("ip route add 10.96.0.0/16 dev lo", NODE)
    sh("ip route add 203.0.113.0/24 dev lo", NODE)
    sh("ip -6 route add fd02::/112 dev eth0", NODE)


def forward() -> None:
    """Be a router, but send no redirects (a pod's way to itself looks like a detour): they use up the few ICMP
    messages a second that the kernel allows per host."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/send_redirects").write_text("0")
    Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    names = [NODE, OUTSIDE, *PODS]
    try:
        for name in names:
            sh(f"ip netns add {PREFIX}-{name}")
        inside(namespace(NODE), forward)
        connect_outside()
        for number, (name, addresses) in enumerate(PODS.items()):
            connect_pod(name, number, addresses)
        with ExitStack() as stack:
            for name in PODS:
                for family in (socket.AF_INET, socket.AF_INET6):
                    stack.enter_context(serving(name, family))
            yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", f"{PREFIX}-{name}"], check=False, capture_output=True)


def open_socket(name: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    def make() -> socket.socket:
        assert os.readlink("/proc/thread-self/ns/net") != HOME
        return socket.socket(family, kind)

    return inside(namespace(name), make)


@contextmanager
def serving(name: str, family: socket.AddressFamily) -> Iterator[None]:
    """A pod that answers everybody, by TCP and UDP, with its name and whom it sees."""
    tcp = open_socket(name, family, socket.SOCK_STREAM)
    udp = open_socket(name, family, socket.SOCK_DGRAM)
    wildcard = "::" if family == socket.AF_INET6 else ""
    stop, stopped = os.pipe()
    waiting: list[Any] = [tcp, udp, stop]

    def serve() -> None:
        while True:
            ready, _, _ = select.select(waiting, [], [])
            if stop in ready:
                return
            if tcp in ready:
                connection, peer = tcp.accept()
                with connection:
                    connection.sendall(f"{name} {peer[0]}".encode())
            if udp in ready:
                _, peer = udp.recvfrom(100)
                udp.sendto(f"{name} {peer[0]}".encode(), peer)

    for one in (tcp, udp):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((wildcard, PORT))
    tcp.listen(64)
    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(stopped, b"x")
        thread.join(5)
        for fd in (stop, stopped):
            os.close(fd)
        tcp.close()
        udp.close()


class Driver:
    """The proxy's process (proxy_driver.py)."""

    def __init__(self, **settings: Any) -> None:
        command = ["nsenter", f"--net={namespace(NODE)}", sys.executable, str(DRIVER), json.dumps(settings)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def ask(self, **request: Any) -> Object:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def apply(self, *objects: Object) -> None:
        self.ask(apply=objects)

    def kill(self) -> None:
        self._process.kill()
        self.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _read(self) -> Object:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 30)
        line = self._process.stdout.readline() if ready else ""
        assert line, "the driver said nothing"
        found: Object = json.loads(line)
        return found


@pytest.fixture(scope="module")
def proxy(network: None) -> Iterator[Driver]:
    driver = Driver()
    try:
        addresses = [{"type": "InternalIP", "address": NODE_ADDRESS}]
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "status": {"addresses": addresses}}
        driver.apply(node)
        yield driver
    finally:
        driver.close()


def service(name: str, number: int, *, protocol: str = "TCP", vip: str = "", **spec: Any) -> Object:
    port: Object = {"name": "main", "port": 80, "protocol": protocol}
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        port["nodePort"] = 30000 + number
    made: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": f"10.96.0.{number}", "ports": [port], **spec},
    }
    if vip:
        made["status"] = {"loadBalancer": {"ingress": [{"ip": vip}]}}
    return made


def endpoints(name: str, *pods: str, protocol: str = "TCP", family: int = 4, port: int = PORT) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-{family}",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": f"IPv{family}",
        "ports": [{"name": "main", "port": port, "protocol": protocol}],
        "endpoints": [
            {
                "addresses": [PODS[pod][family == 6]],
                "conditions": {"ready": True},
                "nodeName": "node-2" if pod == "there" else "node-1",
            }
            for pod in pods
        ],
    }


def call(source: str, address: str, port: int = 80) -> list[str]:
    """Connect from a namespace; the answering pod's name and whom it saw. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with open_socket(source, family, socket.SOCK_STREAM) as tcp:
        tcp.settimeout(15)
        tcp.connect((address, port))
        return tcp.recv(100).decode().split()


def refused(source: str, address: str, port: int = 80) -> None:
    began = time.perf_counter()
    with pytest.raises(ConnectionRefusedError):
        call(source, address, port)
    assert time.perf_counter() - began < SOON


def in_kernel(name: str, commands: str) -> None:
    def run() -> None:
        with closing(Library()) as nft:
            nft.run(commands)

    inside(namespace(name), run)


def has_table(name: str) -> bool:
    def look() -> bool:
        with closing(Library()) as nft:
            return nft.fingerprint("ip", "kube-proxy", []) is not None

    return inside(namespace(name), look)


def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.perf_counter() + seconds
    while not holds():
        assert time.perf_counter() < deadline, "it never came true"
        select.select([], [], [], 0.02)


def test_services_answer_while_the_proxy_is_dead_and_are_gone_after_it_ended(network: None) -> None:
    # The first test of this file: from the next on another proxy has the table.
    first = Driver(leave_rules=True)
    first.apply(service("survivor", 25), endpoints("survivor", "there"))
    first.kill()
    assert call("here-1", "10.96.0.25")[0] == "there"
    refused("here-1", "10.96.77.77")
    second = Driver()
    second.close()
    assert not has_table(NODE)


def test_a_cluster_ip_spreads_connections_over_its_endpoints(proxy: Driver) -> None:
    proxy.apply(service("spread", 10), endpoints("spread", *PODS))
    for source in (NODE, "here-1"):
        assert set(Counter(call(source, "10.96.0.10")[0] for _ in range(60))) == set(PODS)
    assert ("there", PODS["here-1"][0]) in {tuple(call("here-1", "10.96.0.10")) for _ in range(30)}


def test_a_client_with_affinity_stays_with_its_endpoint(proxy: Driver) -> None:
    proxy.apply(service("sticky", 11, sessionAffinity="ClientIP"), endpoints("sticky", *PODS))
    assert len({call("here-2", "10.96.0.11")[0] for _ in range(20)}) == 1
    assert len({call(NODE, "10.96.0.11")[0] for _ in range(20)}) == 1


def test_a_node_port_answers_outside_and_hides_who_asks(proxy: Driver) -> None:
    proxy.apply(service("ported", 12, type="NodePort"), endpoints("ported", "here-1", "there"))
    answers = [call(OUTSIDE, NODE_ADDRESS, 30012) for _ in range(30)]
    assert {name for name, _ in answers} == {"here-1", "there"}
    assert OUTSIDE_ADDRESS not in {seen for _, seen in answers}
    assert call(NODE, NODE_ADDRESS, 30012)[0] in PODS
    assert call("here-2", NODE_ADDRESS, 30012)[0] in PODS


def test_the_local_policy_keeps_the_clients_address_and_the_nodes_endpoints(proxy: Driver) -> None:
    local = service("local", 13, type="NodePort", externalTrafficPolicy="Local")
    proxy.apply(local, endpoints("local", "here-1", "there"))
    assert {tuple(call(OUTSIDE, NODE_ADDRESS, 30013)) for _ in range(20)} == {("here-1", OUTSIDE_ADDRESS)}
    assert {call("here-2", NODE_ADDRESS, 30013)[0] for _ in range(30)} == {"here-1", "there"}


def test_a_service_without_endpoints_refuses_at_once(proxy: Driver) -> None:
    proxy.apply(service("empty", 14, type="NodePort"))
    for source in (NODE, "here-1"):
        refused(source, "10.96.0.14")
    refused(OUTSIDE, NODE_ADDRESS, 30014)
    for _ in range(20):
        refused("here-1", "10.96.0.14")  # resets are not rationed as ICMP errors are


def test_an_address_of_no_service_refuses_at_once(proxy: Driver) -> None:
    for source in (NODE, "here-1"):
        refused(source, "10.96.77.77")
    proxy.apply(service("known", 15), endpoints("known", "there"))
    refused("here-1", "10.96.0.15", 81)
    with open_socket("here-2", socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(15)
        udp.connect(("10.96.77.78", 53))
        udp.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            udp.recv(100)


def test_a_pod_reaches_itself_through_its_service(proxy: Driver) -> None:
    proxy.apply(service("mirror", 16), endpoints("mirror", "here-1"))
    name, seen = call("here-1", "10.96.0.16")
    assert name == "here-1"
    assert seen != PODS["here-1"][0]


def test_a_udp_client_moves_on_when_its_endpoint_goes(proxy: Driver) -> None:
    proxy.apply(service("datagrams", 17, protocol="UDP"), endpoints("datagrams", "there", protocol="UDP"))
    with open_socket("here-1", socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(15)
        udp.connect(("10.96.0.17", 80))

        def ask() -> str:
            udp.send(b"?")
            return udp.recv(100).decode().split()[0]

        assert ask() == "there"
        proxy.apply(endpoints("datagrams", "here-2", protocol="UDP"))
        assert ask() == "here-2"
        proxy.apply(endpoints("datagrams", protocol="UDP"))
        with pytest.raises(ConnectionRefusedError):
            ask()
        proxy.apply(endpoints("datagrams", "there", protocol="UDP"))
        eventually(lambda: ask() == "there")


def test_source_ranges_guard_a_load_balancers_address(proxy: Driver) -> None:
    balanced: Object = {"type": "LoadBalancer", "vip": "203.0.113.5", "loadBalancerSourceRanges": ["198.51.100.0/24"]}
    proxy.apply(service("balanced", 18, **balanced), endpoints("balanced", "here-1"))
    with open_socket(OUTSIDE, socket.AF_INET, socket.SOCK_STREAM) as tcp:
        tcp.settimeout(0.5)
        with pytest.raises(TimeoutError):
            tcp.connect(("203.0.113.5", 80))
    balanced["loadBalancerSourceRanges"] = ["172.31.0.0/24"]
    proxy.apply(service("balanced", 18, **balanced))
    assert call(OUTSIDE, "203.0.113.5")[0] == "here-1"


def test_an_external_ip_leads_to_the_service(proxy: Driver) -> None:
    proxy.apply(service("external", 19, externalIPs=["203.0.113.7"]), endpoints("external", "there"))
    assert call(OUTSIDE, "203.0.113.7")[0] == "there"


def test_ipv6_has_rules_of_its_own(network: None) -> None:
    ports: list[Object] = [{"name": "main", "port": 80}]
    double = service("double", 20, clusterIPs=["fd02::20"], ports=ports)
    policies = {IPV6: Policy(("fd01::/64",))}
    compiled = compile_service(double, [endpoints("double", "here-1", family=6)], TheNode("node-1"), policies)
    ruleset = Ruleset(IPV6, "test")
    guard, rest = guard_part(IPV6, ["fd02::/112"]), node_part(IPV6, TheNode(), policies[IPV6])
    ruleset.update({GUARD: guard, NODE_OWNER: rest, "default/double": compiled.parts[IPV6]}, 0)
    in_kernel(NODE, ruleset.scratch())
    try:
        assert call("here-2", "fd02::20") == ["here-1", PODS["here-2"][1]]
        assert call("here-1", "fd02::20")[0] == "here-1"
        refused("here-2", "fd02::21")
    finally:
        in_kernel(NODE, ruleset.removal())


def test_a_health_check_counts_the_nodes_own_endpoints(proxy: Driver) -> None:
    spec: Object = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30099}
    proxy.apply(service("healthy", 21, **spec), endpoints("healthy", "here-1", "here-2", "there"))
    answer = get(NODE, "127.0.0.1", 30099)
    assert "200 OK" in answer
    assert '"localEndpoints": 2' in answer
    assert "X-Load-Balancing-Endpoint-Weight: 2" in answer
    proxy.apply(endpoints("healthy", "there"))
    assert "503 Service Unavailable" in get(NODE, "127.0.0.1", 30099)


def test_the_proxy_says_how_it_is(proxy: Driver) -> None:
    ports = proxy.ask(ports=True)["ports"]
    assert '"nodeEligible":true' in get(NODE, "127.0.0.1", ports["healthz"], "/healthz")
    assert "kubeproxy_sync_proxy_rules_duration_seconds_count" in get(NODE, "127.0.0.1", ports["metrics"], "/metrics")


def get(source: str, address: str, port: int, path: str = "/") -> str:
    with open_socket(source, socket.AF_INET, socket.SOCK_STREAM) as tcp:
        tcp.settimeout(15)
        tcp.connect((address, port))
        tcp.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := tcp.recv(65536):
            received += piece
        return received.decode()


@pytest.mark.parametrize(
    "harm",
    ["flush ruleset", "flush table ip kube-proxy", "delete table ip kube-proxy", "flush chain ip kube-proxy services"],
)
def test_rules_that_somebody_flushed_come_back(proxy: Driver, harm: str) -> None:
    proxy.apply(service("lasting", 22), endpoints("lasting", "there"))
    proxy.ask(nft=harm, wait=True)
    assert call("here-1", "10.96.0.22")[0] == "there"


def test_strangers_tables_are_none_of_our_business(proxy: Driver) -> None:
    assert proxy.ask(nft="add table ip stranger\nadd chain ip stranger x")["transactions"] == 0
    proxy.apply(service("neighbour", 23), endpoints("neighbour", "there"))
    assert call("here-1", "10.96.0.23")[0] == "there"


def test_an_update_that_changes_nothing_sends_nothing(proxy: Driver) -> None:
    proxy.apply(service("steady", 24), endpoints("steady", "there"))
    again = service("steady", 24)
    again["metadata"]["annotations"] = {"note": "new"}
    eventually(lambda: proxy.ask()["transactions"] == 0)
    assert proxy.ask(apply=[again])["transactions"] == 0


MAP = "add map ip t m { type inet_service : verdict ; }\n"
SET = "add set ip t s { type ipv4_addr ; }\nadd chain ip t x\nadd rule ip t x ip saddr @s drop\n"
CHAINS = "add chain ip t x\nadd chain ip t y\nadd rule ip t x jump y\n"
RANGES = "add set ip t s { type ipv4_addr ; flags interval ; }\n"
CASES = (
    "add chain ip t x\nadd rule ip t x drop",
    "add rule ip t nowhere drop",
    MAP + "add element ip t m { 80 : goto nowhere }",
    MAP + "add element ip t m { 80 : drop }\nadd element ip t m { 80 : drop }",
    MAP + "add element ip t m { 80 : drop }\nadd element ip t m { 80 : accept }",
    MAP + "add element ip t m { 80 : drop }\ndelete element ip t m { 80 }\nadd element ip t m { 80 : accept }",
    MAP + "delete element ip t m { 80 }",
    CHAINS + "flush chain ip t y\ndelete chain ip t y",
    CHAINS + "flush chain ip t x\ndelete chain ip t x",
    RANGES + "add element ip t s { 10.0.0.0/8 }",
    SET + "delete set ip t s",
    SET + "flush chain ip t x\ndelete set ip t s",
    "delete chain ip t nowhere",
    "delete table ip t\nadd table ip t\nadd chain ip t x { type nat hook output priority -100 ; }",
)


@pytest.mark.parametrize("kind", [Library, lambda: Program("/usr/sbin/nft")], ids=["library", "program"])
def test_the_fake_takes_and_refuses_what_the_kernel_does(network: None, kind: Callable[[], Nft]) -> None:
    def takes(commands: str) -> bool:
        with closing(kind()) as nft:
            nft.run("add table ip t\ndelete table ip t\nadd table ip t\n")
            try:
                nft.run(commands)
            except Refused:
                return False
            return True

    for case in CASES:
        fake = FakeNft()
        fake.run("add table ip t\n")
        try:
            fake.run(case + "\n")
            taken = True
        except Refused:
            taken = False
        assert inside(namespace(OUTSIDE), partial(takes, case)) is taken, case


def test_ranges_may_be_replaced_by_ranges_inside_them(network: None) -> None:
    def run(ruleset: Ruleset, *ranges: str) -> None:
        in_kernel(OUTSIDE, ruleset.update({GUARD: guard_part(IPV4, ranges)}, 0))

    ruleset = Ruleset(IPV4, "ranges")
    in_kernel(OUTSIDE, "add table ip ranges\n")
    run(ruleset, "10.96.0.0/12")
    run(ruleset, "10.97.0.0/16", "192.0.2.0/24")
    run(ruleset, "10.96.0.0/12", "192.0.0.0/16")
