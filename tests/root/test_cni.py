"""CNI for real: every namespace here, the host's included, is made by the test and has no way out.

`host` stands for the node: code that acts on the node runs in a thread, or a process, that entered it.
"""

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from kubrick_cni_bridge.plugin import Bridge
from kubrick_cni_host_local.plugin import HostLocal
from kubrick_cni_loopback.plugin import Loopback
from kubrick_cni_portmap.plugin import PortMap
from kubrick_network import (
    Attachment,
    CNIError,
    NetworkList,
    Networks,
    Plugins,
    Result,
    bridged_list,
    parse_list,
)
from kubrick_network.namespace import inside
from kubrick_network.nft import list_table
from kubrick_network.testing import check_plugin

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

THEIRS = Path("/usr/lib/cni")
PORT = 8000
HOST_PORT = 8080
OUTSIDE, GATE = "198.51.100.2", "198.51.100.1"


@define
class Box:
    """A container: a namespace and its attachment."""

    namespace: str
    attachment: Attachment


def sh(*words: str, ns: str = "") -> str:
    """Run a command, in a namespace."""
    command = ["nsenter", f"--net={ns}", *words] if ns else [*words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def made() -> Iterator[Callable[[str], str]]:
    """Makes namespaces, returns their paths, removes them."""
    with ExitStack() as stack:

        def make(name: str) -> str:
            full = f"kubrick-test-{os.getpid()}-{name}"
            sh("ip", "netns", "add", full)
            stack.callback(sh, "ip", "netns", "del", full)
            return f"/run/netns/{full}"

        yield make


@pytest.fixture
def host(made: Callable[[str], str]) -> str:
    path = made("host")
    sh("ip", "link", "set", "lo", "up", ns=path)
    return path


@pytest.fixture
def outside(made: Callable[[str], str], host: str) -> str:
    """A machine beside the host: 198.51.100.2, which knows no way to the containers."""
    path = made("outside")
    sh("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", path.rpartition("/")[2], ns=host)
    for ns, address in ((host, GATE), (path, OUTSIDE)):
        sh("ip", "addr", "add", f"{address}/24", "dev", "wire", ns=ns)
        sh("ip", "link", "set", "wire", "up", ns=ns)
    return path


@pytest.fixture
def boxes(made: Callable[[str], str]) -> list[Box]:
    """Two containers; the first wants a host port."""
    port = [{"hostPort": HOST_PORT, "containerPort": PORT, "protocol": "tcp"}]
    first, second = made("box1"), made("box2")
    return [
        Box(first, Attachment("box1", first, capabilities={"portMappings": port})),
        Box(second, Attachment("box2", second)),
    ]


@define
class Node:
    """Ours, driven in the host's namespace."""

    host: str
    networks: Networks
    network: NetworkList
    state: Path

    def add(self, box: Box) -> Result:
        return inside(self.host, lambda: self.networks.add(self.network, box.attachment))

    def delete(self, box: Box) -> None:
        inside(self.host, lambda: self.networks.delete(self.network, box.attachment))

    def check(self, box: Box) -> None:
        inside(self.host, lambda: self.networks.check(self.network, box.attachment))

    def tables(self) -> set[str]:
        return {line.split()[-1] for line in sh("nft", "list", "tables", ns=self.host).splitlines()}

    def links(self) -> set[str]:
        return {link["ifname"] for link in json.loads(sh("ip", "-j", "link", ns=self.host))} - {"lo", "wire"}

    def reserved(self) -> set[str]:
        return {file.name for file in (self.state / "net").glob("*[.:]*") if not file.name.startswith("last")}


@pytest.fixture
def node(host: str, tmp_path: Path) -> Node:
    return make_node(host, tmp_path)


def make_node(
    host: str, folder: Path, *, standard: tuple[str, ...] = (), version: str = "1.1.0", **bridge: Any
) -> Node:
    document = bridged_list("net", "br0", ("10.22.0.0/24", "fd00:22::/64"), data_dir=str(folder / "state"))
    document["cniVersion"] = version
    document["plugins"][0] |= bridge
    plugins = Plugins([Bridge(), HostLocal(), PortMap(), Loopback()], standard, [THEIRS])
    return Node(host, Networks(plugins, folder / "results"), parse_list(document), folder / "state")


def ip(result: Result, version: int = 4) -> str:
    return next(str(one.address.ip) for one in result.ips if one.address.version == version)


def talk(client: str, to: str, port: int, server: str, at: str, server_port: int = PORT, patience: float = 3) -> str:
    """Connect from one namespace and return the address that the server in another one sees."""
    family = socket.AF_INET6 if ":" in at else socket.AF_INET

    def listen() -> socket.socket:
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((at, server_port))
        except OSError:
            made.close()
            raise
        made.listen()
        made.settimeout(15)
        return made

    with inside(server, listen) as listening, inside(client, lambda: connect(to, port, patience)):
        accepted, peer = listening.accept()
        accepted.close()
        return str(peer[0])


def connect(to: str, port: int, within: float) -> socket.socket:
    return socket.create_connection((to, port), timeout=within)


def refused(client: str, to: str, port: int) -> bool:
    try:
        inside(client, lambda: connect(to, port, 0.5)).close()
    except OSError:
        return True
    return False


def test_containers_reach_each_other_and_the_outside(node: Node, boxes: list[Box], outside: str) -> None:
    one, two = (node.add(box) for box in boxes)
    for box in boxes:
        node.check(box)
    first, second = (box.namespace for box in boxes)
    assert talk(first, ip(two), PORT, second, ip(two)) == ip(one)
    assert talk(second, ip(one, 6), PORT, first, ip(one, 6)) == ip(two, 6)
    assert talk(first, OUTSIDE, PORT, outside, OUTSIDE) == GATE, "to elsewhere with the node's address"
    assert talk(first, "10.22.0.1", PORT, node.host, "10.22.0.1") == ip(one), "to the node itself with its own"


def test_the_result_says_what_there_is(node: Node, boxes: list[Box]) -> None:
    result = node.add(boxes[0])
    bridge, veth, eth = result.interfaces
    links = {link["ifname"]: link["address"] for link in json.loads(sh("ip", "-j", "link", ns=node.host))}
    assert links[bridge.name] == bridge.mac
    assert links[veth.name] == veth.mac
    (found,) = json.loads(sh("ip", "-j", "link", "show", "eth0", ns=boxes[0].namespace))
    assert (found["address"], found["mtu"]) == (eth.mac, eth.mtu)
    assert eth.sandbox == boxes[0].namespace
    assert [str(one.gateway) for one in result.ips] == ["10.22.0.1", "fd00:22::1"]


def test_the_bridge_keeps_its_mac_address_while_ports_come_and_go(node: Node, boxes: list[Box]) -> None:
    first = node.add(boxes[0]).interfaces[0].mac
    assert node.add(boxes[1]).interfaces[0].mac == first
    node.delete(boxes[0])
    assert json.loads(sh("ip", "-j", "link", "show", "br0", ns=node.host))[0]["address"] == first


def test_neighbours_are_told_who_has_an_address_now(node: Node, boxes: list[Box]) -> None:
    node.add(boxes[0])
    ears = inside(boxes[0].namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
    with ears:
        result = node.add(boxes[1])
        heard = b""
        while select.select([ears], [], [], 0.3)[0]:
            frame = ears.recv(2000)
            if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42] == socket.inet_aton(ip(result)):
                heard += b"4"
            advertised = frame[62:78] if frame[12:14] == b"\x86\xdd" and frame[54] == 136 else b""
            if advertised == socket.inet_pton(socket.AF_INET6, ip(result, 6)):
                heard += b"6"
    assert set(heard) == set(b"46")


def test_a_host_port_leads_to_the_container_from_everywhere(node: Node, boxes: list[Box], outside: str) -> None:
    one, _ = (node.add(box) for box in boxes)
    first, second = (box.namespace for box in boxes)
    at = ip(one)
    assert talk(outside, GATE, HOST_PORT, first, at) == OUTSIDE, "the client's address is kept"
    assert talk(node.host, GATE, HOST_PORT, first, at) == GATE
    assert talk(node.host, "127.0.0.1", HOST_PORT, first, at) == "10.22.0.1", "localhost can't be answered to"
    assert talk(second, "10.22.0.1", HOST_PORT, first, at) == "10.22.0.1", "a neighbour would answer directly"
    assert talk(first, "10.22.0.1", HOST_PORT, first, at) == "10.22.0.1", "and so would it itself"
    assert refused(outside, GATE, HOST_PORT + 1)
    node.delete(boxes[0])
    assert refused(node.host, "127.0.0.1", HOST_PORT)


def test_neighbours_do_not_reach_the_hosts_loopback(node: Node, boxes: list[Box]) -> None:
    node.add(boxes[0])
    node.add(boxes[1])
    box = boxes[1].namespace
    sh("ip", "route", "add", "127.0.0.2/32", "via", "10.22.0.1", "dev", "eth0", ns=box)
    sh("sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1", ns=box)
    with inside(node.host, lambda: socket.create_server(("127.0.0.2", PORT))):
        assert refused(box, "127.0.0.2", PORT)


def test_deletion_leaves_nothing_even_when_the_namespace_is_gone(
    node: Node, boxes: list[Box], made: Callable[[str], str]
) -> None:
    for box in boxes:
        node.add(box)
    gone = Attachment("gone", "/run/netns/kubrick-test-gone")
    sh("ip", "netns", "add", "kubrick-test-gone")
    try:
        node.add(Box(gone.netns, gone))
    finally:
        sh("ip", "netns", "del", "kubrick-test-gone")
    assert node.reserved() == {f"{net}{n}" for net in ("10.22.0.", "fd00:22::") for n in (2, 3, 4)}
    for box in (*boxes, Box(gone.netns, gone)):
        node.delete(box)
        node.delete(box)
    assert node.links() == {"br0"}
    assert node.reserved() == set()
    assert node.tables() == set()
    assert json.loads(sh("ip", "-j", "link", ns=boxes[0].namespace))[1:] == []
    inside(node.host, lambda: node.networks.teardown(node.network))
    assert node.links() == set()


def test_an_add_that_was_cut_off_may_be_repeated(node: Node, boxes: list[Box], tmp_path: Path) -> None:
    first = node.add(boxes[0])
    for file in (*(tmp_path / "results").iterdir(), *(node.state / "net").glob("*:*"), node.state / "net" / ip(first)):
        file.unlink()
    again = node.add(boxes[0])
    assert again.interfaces[1].name == first.interfaces[1].name
    assert talk(boxes[0].namespace, "10.22.0.1", PORT, node.host, "10.22.0.1") == ip(again)


def test_a_failed_add_leaves_nothing(node: Node, boxes: list[Box]) -> None:
    sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other", ns=boxes[0].namespace)
    with pytest.raises(CNIError, match=r"container veth name .* already exists"):
        node.add(boxes[0])
    with pytest.raises(CNIError, match="failed to open netns"):
        node.add(Box("/run/netns/nowhere", Attachment("box", "/run/netns/nowhere")))
    assert (node.links(), node.reserved(), node.tables()) == ({"br0"}, set(), set())


def test_collection_removes_what_the_stale_left(node: Node, boxes: list[Box], tmp_path: Path) -> None:
    one, two = (node.add(box) for box in boxes)
    for file in (tmp_path / "results").iterdir():
        file.unlink()  # a runtime that lost its memory: only plugins know
    stale = {one.interfaces[1].name, two.interfaces[1].name}
    inside(node.host, lambda: node.networks.gc(node.network, [("box2", "eth0")]))
    assert node.links() & stale == {two.interfaces[1].name}
    assert node.reserved() == {"10.22.0.3", "fd00:22::3"}
    assert node.tables() == {"kubrick_bridge"}
    assert talk(boxes[1].namespace, "10.22.0.1", PORT, node.host, "10.22.0.1") == ip(two)


@pytest.mark.parametrize(
    ("damage", "place", "message"),
    [
        (["ip", "route", "del", "default"], "box", "the container's route to 0.0.0.0/0 is missing"),
        (["ip", "addr", "flush", "dev", "eth0", "scope", "global"], "box", "lacks 10.22.0.2/24"),
        (["ip", "link", "set", "eth0", "down"], "box", "container interface 'eth0' is down"),
        (["ip", "link", "set", "eth0", "address", "02:00:00:00:00:09"], "box", "has MAC 02:00:00:00:00:09"),
        (["ip", "link", "del", "eth0"], "box", "is missing"),
        (["ip", "link", "del", "br0"], "host", "bridge 'br0' is missing"),
        (["ip", "addr", "flush", "dev", "br0"], "host", "lacks the gateway address 10.22.0.1/24"),
        (["nft", "delete", "table", "inet", "kubrick_bridge"], "host", "10.22.0.2 is not masqueraded"),
        (["nft", "flush", "chain", "inet", "kubrick_portmap", "hostports"], "host", "portmap: 2 rules are missing"),
        (["nft", "flush", "chain", "inet", "kubrick_portmap", "output"], "host", "portmap: no rules in output"),
        (["nft", "flush", "chain", "inet", "kubrick_bridge", "postrouting"], "host", "10.22.0.2 is not masqueraded"),
    ],
)
def test_check_sees_damage(node: Node, boxes: list[Box], damage: list[str], place: str, message: str) -> None:
    node.add(boxes[0])
    node.check(boxes[0])
    sh(*damage, ns=node.host if place == "host" else boxes[0].namespace)
    with pytest.raises(CNIError, match=message) as error:
        node.check(boxes[0])
    assert error.value.code == 100


def test_masquerading_comes_back_after_somebody_flushed_it(node: Node, boxes: list[Box], outside: str) -> None:
    node.add(boxes[0])
    sh("nft", "flush", "ruleset", ns=node.host)
    node.add(boxes[1])
    assert talk(boxes[1].namespace, OUTSIDE, PORT, outside, OUTSIDE) == GATE
    node.delete(boxes[0])


def filters_vlans(ns: str) -> bool:
    """Whether this machine's bridges can; not every kernel is built with it."""
    try:
        sh("ip", "link", "add", "probe", "type", "bridge", "vlan_filtering", "1", ns=ns)
    except subprocess.CalledProcessError:
        return False
    sh("ip", "link", "del", "probe", ns=ns)
    return True


def test_a_vlan_parts_containers_on_one_bridge(host: str, boxes: list[Box], tmp_path: Path) -> None:
    vlan100 = make_node(host, tmp_path / "a", vlan=100)
    vlan200 = make_node(host, tmp_path / "b", vlan=200, isDefaultGateway=False, ipMasq=False)
    if not filters_vlans(host):
        with pytest.raises(CNIError, match="vlan needs a kernel whose bridges filter VLANs"):
            vlan100.add(boxes[0])
        return
    one, two = vlan100.add(boxes[0]), vlan200.add(boxes[1])
    assert talk(boxes[0].namespace, "10.22.0.1", PORT, host, "10.22.0.1") == ip(one)
    assert ip(one) == ip(two), "each its own range"
    assert refused(boxes[1].namespace, "10.22.0.1", PORT)
    vlan100.check(boxes[0])


def test_mtu_mac_and_requested_address_are_as_asked(host: str, boxes: list[Box], tmp_path: Path) -> None:
    node = make_node(host, tmp_path, mtu=1400, capabilities={"mac": True, "ips": True})
    asked = {"mac": "02:00:00:00:00:77", "ips": ["10.22.0.99"]}
    result = node.add(Box(boxes[0].namespace, Attachment("box1", boxes[0].namespace, capabilities=asked)))
    assert (ip(result), result.interfaces[2].mac, result.interfaces[2].mtu) == ("10.22.0.99", asked["mac"], 1400)


def test_a_bridge_with_another_address_is_not_taken_over_by_accident(
    host: str, boxes: list[Box], tmp_path: Path
) -> None:
    sh("ip", "link", "add", "br0", "type", "bridge", ns=host)
    sh("ip", "addr", "add", "10.99.0.1/24", "dev", "br0", ns=host)
    with pytest.raises(CNIError, match="already has an IP address different from"):
        make_node(host, tmp_path).add(boxes[0])
    make_node(host, tmp_path, forceAddress=True).add(boxes[0])
    sh("ip", "link", "add", "wall", "type", "veth", "peer", "name", "wall2", ns=host)
    with pytest.raises(CNIError, match="already exists but is not a bridge"):
        make_node(host, tmp_path, bridge="wall").add(boxes[1])


def test_all_plugins_keep_the_contract(host: str, made: Callable[[str], str], tmp_path: Path) -> None:
    box = made("box")
    ipam = {"type": "host-local", "dataDir": str(tmp_path), "subnet": "10.22.0.0/24"}
    bridge = {"isDefaultGateway": True, "ipMasq": True, "ipam": ipam}
    inside(host, lambda: check_plugin(Bridge(), bridge, netns=box, others=[HostLocal()]))
    inside(host, lambda: check_plugin(Loopback(), {}, netns=box))
    node = make_node(host, tmp_path / "node")
    result = node.add(Box(box, Attachment("box", box)))
    ports = {"portMappings": [{"hostPort": HOST_PORT, "containerPort": PORT}]}
    inside(host, lambda: check_plugin(PortMap(), {"runtimeConfig": ports}, netns=box, previous=result))
    assert inside(host, lambda: list_table("inet", "kubrick_portmap")) == []


def test_their_address_management_serves_our_bridge(host: str, boxes: list[Box], tmp_path: Path) -> None:
    node = make_node(host, tmp_path, standard=("host-local",), version="1.0.0")
    one, two = (node.add(box) for box in boxes)
    assert [ip(one), ip(two)] == ["10.22.0.2", "10.22.0.3"]
    assert talk(boxes[0].namespace, ip(two), PORT, boxes[1].namespace, ip(two)) == ip(one)
    node.check(boxes[0])
    node.delete(boxes[0])
    assert node.reserved() == {"10.22.0.3", "fd00:22::3"}
    ours = make_node(host, tmp_path)
    ours.delete(boxes[1])
    assert ours.reserved() == set(), "ours goes on with their files"


@define
class Agent:
    """The node agent's network in a process of its own, in the host's namespace."""

    process: "subprocess.Popen[str]"
    bin_dir: Path
    host: str

    def call(self, file: Path, command: str, config: dict[str, Any], box: Box | None) -> tuple[int, Any]:
        """What a runtime does."""
        environment = {"CNI_COMMAND": command, "CNI_PATH": f"{self.bin_dir}:{THEIRS}", "PATH": os.environ["PATH"]}
        if box:
            environment |= {
                "CNI_CONTAINERID": box.attachment.container_id,
                "CNI_NETNS": box.namespace,
                "CNI_IFNAME": "eth0",
            }
        done = subprocess.run(
            ["nsenter", f"--net={self.host}", file],
            input=json.dumps(config),
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def agent(host: str, tmp_path: Path) -> Iterator[Agent]:
    command = ["nsenter", f"--net={host}", sys.executable, Path(__file__).with_name("cni_agent.py"), tmp_path / "d"]
    process = subprocess.Popen(
        [*command, json.dumps({"bridge": "br0"})], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield Agent(process, tmp_path / "d" / "cni" / "bin", host)
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def config(tmp_path: Path, **more: Any) -> dict[str, Any]:
    ipam = {"type": "host-local", "dataDir": str(tmp_path / "theirs"), "ranges": [[{"subnet": "10.33.0.0/24"}]]}
    return {"cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br1", "isGateway": True} | {
        "ipam": ipam,
        **more,
    }


def test_a_runtime_reaches_the_agent_through_the_shims(agent: Agent, boxes: list[Box], tmp_path: Path) -> None:
    bridge, portmap, lo = (agent.bin_dir / name for name in ("bridge", "portmap", "loopback"))
    code, up = agent.call(lo, "ADD", {"cniVersion": "1.0.0", "name": "lo"}, boxes[0])
    assert (code, up["ips"][0]["address"]) == (0, "127.0.0.1/8")
    code, result = agent.call(bridge, "ADD", config(tmp_path), boxes[0])
    assert (code, result["ips"][0]["address"]) == (0, "10.33.0.2/24")
    ports = {"runtimeConfig": {"portMappings": [{"hostPort": HOST_PORT, "containerPort": PORT}]}}
    chained = config(tmp_path, prevResult=result, **ports)
    assert agent.call(portmap, "ADD", chained, boxes[0]) == (0, result)
    assert agent.call(bridge, "CHECK", chained, boxes[0]) == (0, None)
    at = result["ips"][0]["address"].partition("/")[0]
    assert talk(agent.host, "127.0.0.1", HOST_PORT, boxes[0].namespace, at) == "10.33.0.1"
    assert agent.call(portmap, "DEL", chained, boxes[0]) == (0, None)
    assert agent.call(bridge, "DEL", chained, boxes[0]) == (0, None)
    code, error = agent.call(bridge, "CHECK", chained, boxes[0])
    assert (code, error["code"]) == (1, 100)


def test_our_address_management_serves_their_bridge(agent: Agent, boxes: list[Box], tmp_path: Path) -> None:
    code, one = agent.call(THEIRS / "bridge", "ADD", config(tmp_path), boxes[0])
    assert code == 0, one
    code, two = agent.call(agent.bin_dir / "bridge", "ADD", config(tmp_path), boxes[1])
    assert code == 0, two
    first, second = (result["ips"][0]["address"].partition("/")[0] for result in (one, two))
    assert (first, second) == ("10.33.0.2", "10.33.0.3")
    assert talk(boxes[0].namespace, second, PORT, boxes[1].namespace, second) == first, "on one bridge"
    assert agent.call(THEIRS / "bridge", "CHECK", config(tmp_path, prevResult=one), boxes[0]) == (0, None)
    # Each takes down what the other put up.
    assert agent.call(agent.bin_dir / "bridge", "DEL", config(tmp_path), boxes[0]) == (0, None)
    assert agent.call(THEIRS / "bridge", "DEL", config(tmp_path), boxes[1]) == (0, None)
    assert [file.name for file in (tmp_path / "theirs" / "net").glob("10.*")] == []
    for box in boxes:
        assert json.loads(sh("ip", "-j", "link", ns=box.namespace))[1:] == []


def test_teardown_takes_the_network_off_the_node(agent: Agent, boxes: list[Box]) -> None:
    document = json.loads((agent.bin_dir.parent / "net.d" / "10-kubrick.conflist").read_text())
    plugin = document["plugins"][0] | {"name": document["name"], "cniVersion": document["cniVersion"]}
    code, result = agent.call(agent.bin_dir / "bridge", "ADD", plugin, boxes[0])
    assert code == 0, result
    sh("ip", "link", "del", "eth0", ns=boxes[0].namespace)
    assert agent.process.stdin
    assert agent.process.stdout
    agent.process.stdin.write("teardown\n")
    agent.process.stdin.flush()
    assert agent.process.stdout.readline() == "torn down\n"
    assert {link["ifname"] for link in json.loads(sh("ip", "-j", "link", ns=agent.host))} == {"lo"}
    assert sh("nft", "list", "ruleset", ns=agent.host) == ""


def ledger_call(agent: Agent, boxes: list[Box], number: int, **ports: Any) -> str:
    """Attach a box to the agent's own network; its address."""
    document = json.loads((agent.bin_dir.parent / "net.d" / "10-kubrick.conflist").read_text())
    common = {"name": document["name"], "cniVersion": document["cniVersion"]}
    bridge, portmap = (plugin | common for plugin in document["plugins"][:2])
    code, result = agent.call(agent.bin_dir / "bridge", "ADD", bridge, boxes[number])
    assert code == 0, result
    chained = portmap | {"prevResult": result, "runtimeConfig": {"portMappings": [ports]} if ports else {}}
    assert agent.call(agent.bin_dir / "portmap", "ADD", chained, boxes[number]) == (0, result)
    return str(result["ips"][0]["address"].partition("/")[0])


def answers(client: str, to: str, port: int, server: str, at: str) -> bool:
    try:
        talk(client, to, port, server, at, patience=0.5)
    except OSError:
        return False
    return True


def eventually(question: Callable[[], bool], seconds: float = 60.0) -> None:
    pause, deadline = threading.Event(), time.perf_counter() + seconds
    while not question():
        assert time.perf_counter() < deadline, f"not within {seconds:.0f} s"
        pause.wait(0.1)


def test_what_somebody_else_takes_away_is_put_back(agent: Agent, boxes: list[Box], outside: str) -> None:
    first = ledger_call(agent, boxes, 0, HostPort=HOST_PORT, ContainerPort=PORT, Protocol="tcp")
    second = ledger_call(agent, boxes, 1)
    one, two = (box.namespace for box in boxes)
    gateway = f"{first.rpartition('.')[0]}.1"

    def whole() -> bool:
        return (
            answers(one, second, PORT, two, second)
            and answers(one, OUTSIDE, PORT, outside, OUTSIDE)
            and answers(agent.host, gateway, HOST_PORT, one, first)
        )

    def rules_in(table: str, chain: str) -> bool:
        listed = sh("nft", "list", "chain", "inet", f"kubrick_{table}", chain, ns=agent.host)
        return "jump" in listed or "vmap" in listed

    assert whole()
    sh("nft", "flush", "ruleset", ns=agent.host)
    eventually(whole)
    for table, chain in (("portmap", "prerouting"), ("portmap", "output"), ("bridge", "postrouting")):
        sh("nft", "flush", "chain", "inet", f"kubrick_{table}", chain, ns=agent.host)
        eventually(partial(rules_in, table, chain))
        assert whole()
    sh("nft", "flush", "map", "inet", "kubrick_bridge", "sources4", ns=agent.host)
    eventually(whole)
    sh("ip", "link", "del", "br0", ns=agent.host)
    eventually(whole)
    ends = [link["ifname"] for link in json.loads(sh("ip", "-j", "link", ns=agent.host)) if "veth" in link["ifname"]]
    sh("ip", "link", "set", ends[0], "nomaster", ns=agent.host)
    sh("ip", "link", "del", ends[1], ns=agent.host)
    eventually(whole)


def test_a_udp_client_that_keeps_its_port_reaches_the_container_that_came_later(agent: Agent, boxes: list[Box]) -> None:
    def bound() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("0.0.0.0", PORT))
        made.settimeout(15)
        return made

    udp = {"HostPort": HOST_PORT, "ContainerPort": PORT, "Protocol": "udp"}
    one, two = (box.namespace for box in boxes)
    with inside(one, bound) as first, inside(two, bound) as second, inside(agent.host, bound) as client:
        gateway = f"{ledger_call(agent, boxes, 0, **udp).rpartition('.')[0]}.1"
        client.sendto(b"1", (gateway, HOST_PORT))
        assert first.recv(10) == b"1"
        document = json.loads((agent.bin_dir.parent / "net.d" / "10-kubrick.conflist").read_text())
        for plugin in reversed(document["plugins"]):
            told = plugin | {"name": document["name"], "cniVersion": document["cniVersion"]}
            assert agent.call(agent.bin_dir / plugin["type"], "DEL", told, boxes[0]) == (0, None)
        client.sendto(b"2", (gateway, HOST_PORT))
        ledger_call(agent, boxes, 1, **udp)
        client.sendto(b"3", (gateway, HOST_PORT))
        assert second.recv(10) == b"3"
