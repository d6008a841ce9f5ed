"""Addresses of services and pods that nobody has never leave the machine, though it has a way out.

The way out is a second network namespace of the test's, which has none itself. It owns every address, answers at
any, and writes down what arrives there: what got out would succeed.
"""

import errno
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from ipaddress import ip_address, ip_network
from itertools import count
from pathlib import Path

import pytest

from kubrick_machine import routes
from kubrick_network.namespace import inside
from kubrick_network.netlink import IPRoute
from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import Machine, eventually, pause, pod, process_of, running

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]

PORT = 80
MACHINE, WORLD = "192.0.2.2", "192.0.2.1"
ELSEWHERE = "203.0.113.9"
"""An address that is rightly sent out."""
NO_SERVICE, NO_POD = "10.96.200.200", "10.244.0.200"
CLUSTER = (ip_network("10.96.0.0/16"), ip_network("10.244.0.0/24"))
SOON = 2.0
ARP_SECONDS = 6.0
"""How long the kernel looks for a neighbour who isn't there, at most."""
IP_RECVERR = 11
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH}


class World:
    """Everything beyond the machine's uplink."""

    def __init__(self, machine: Machine) -> None:
        self.name = f"{machine.name}-w"
        self.seen: list[str] = []
        self._home = f"/run/netns/{machine.name}"
        self._marks = count()
        here = ["ip", "-netns", machine.name]
        there = ["ip", "-netns", self.name]
        for command in (
            ["ip", "netns", "add", self.name],
            [*here, "link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", self.name],
            [*here, "addr", "add", f"{MACHINE}/24", "dev", "up0"],
            [*here, "link", "set", "up0", "up"],
            [*there, "addr", "add", f"{WORLD}/24", "dev", "down0"],
            [*there, "link", "set", "lo", "up"],
            [*there, "link", "set", "down0", "up"],
            [*there, "route", "add", "local", "10.0.0.0/8", "dev", "lo"],
            [*there, "route", "add", "local", "203.0.113.0/24", "dev", "lo"],
            [*here, "route", "add", "default", "via", WORLD],
        ):
            subprocess.run(command, check=True, capture_output=True)
        path = f"/run/netns/{self.name}"
        self._tap = inside(path, partial(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)))
        self._tap.settimeout(0.2)
        self._listening = inside(path, partial(socket.create_server, ("", PORT), backlog=64))
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()

    def _watch(self) -> None:
        """Write down where each packet that comes in by the uplink wants to go."""
        while not self._over.is_set():
            try:
                packet, (interface, *_, kind, _) = self._tap.recvfrom(2048)
            except TimeoutError:
                continue
            if interface == "down0" and kind != socket.PACKET_OUTGOING:
                self.seen.append(socket.inet_ntoa(packet[16:20]))

    def strays(self) -> list[str]:
        """What has come in so far that must not: up to a connection that is made now."""
        mark = f"203.0.113.{100 + next(self._marks)}"
        assert inside(self._home, partial(tcp, mark)) == "connected"
        eventually(lambda: mark in self.seen)
        return [text for text in self.seen if any(ip_address(text) in network for network in CLUSTER)]

    def close(self) -> None:
        self._over.set()
        self._watching.join()
        self._tap.close()
        self._listening.close()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


def tcp(address: str) -> str:
    """What becomes of a connection: connected, refused, unreachable or silence."""
    with closing(socket.socket()) as trying:
        trying.settimeout(ARP_SECONDS if address == NO_POD else SOON)
        return ending(trying, address)


def udp(address: str) -> str:
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as trying:
        trying.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)  # else "unreachable" is kept from it
        trying.settimeout(ARP_SECONDS if address == NO_POD else SOON)
        return ending(trying, address)


def ending(trying: socket.socket, address: str) -> str:
    try:
        trying.connect((address, PORT))
        if trying.type == socket.SOCK_STREAM:
            return "connected"
        trying.send(b"x")
        trying.recv(1)
    except (ConnectionRefusedError, PermissionError):
        return "refused"  # a datagram rejected where it is sent: "operation not permitted"
    except TimeoutError:
        return "silence"
    except OSError as error:
        return "unreachable" if error.errno in UNREACHABLE else str(error)
    return "answered"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("image") / "busybox.tar"
    file.write_bytes(busybox_archive("kubrick.test/busybox:1", platform.machine()))
    return file


class Connected(Machine):
    """A machine with an uplink."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self)

    def close(self) -> None:
        self.world.close()
        super().close()


@pytest.fixture(scope="module")
def machine(image: Path) -> Iterator[Connected]:
    """With a pod that asks."""
    made = Connected()
    try:
        made.up()
        made.kubrick("image", "load", str(image))
        made.apply(pod("client"))
        running(made, "client")
        yield made
    finally:
        made.close()


def places(machine: Machine) -> dict[str, str]:
    """The network namespaces from which somebody may ask: the machine's, and a pod's."""
    client = process_of(machine.get("pod", "client"))
    return {"machine": f"/run/netns/{machine.name}", "pod": f"/proc/{client}/ns/net"}


def rejected(machine: Connected) -> None:
    """Nobody's addresses, asked for from everywhere."""
    asked = [(by, ask, address) for by in places(machine) for ask in (tcp, udp) for address in (NO_SERVICE, NO_POD)]
    paths = places(machine)
    with ThreadPoolExecutor(len(asked)) as many:  # the kernel takes its time to give a neighbour up
        answers = list(many.map(lambda one: inside(paths[one[0]], partial(one[1], one[2])), asked))
    found = {(by, ask.__name__, address): answer for (by, ask, address), answer in zip(asked, answers, strict=True)}
    assert found == {key: "refused" if key[2] == NO_SERVICE else "unreachable" for key in found}
    assert machine.world.strays() == []


def test_the_machine_has_a_way_out_that_works(machine: Connected) -> None:
    for path in places(machine).values():
        assert inside(path, partial(tcp, ELSEWHERE)) == "connected"
    eventually(lambda: ELSEWHERE in machine.world.seen)


def test_nobodys_addresses_are_rejected_before_there_is_a_service_of_the_users(machine: Connected) -> None:
    names = {one["metadata"]["name"] for one in machine.get("services", "-A")["items"]}
    assert names == {"kubernetes", "kube-dns"}
    rejected(machine)


def test_a_service_without_endpoints_and_one_that_is_gone_are_rejected(machine: Connected) -> None:
    machine.kubectl("create", "service", "clusterip", "lonely", f"--tcp={PORT}")
    address = machine.get("service", "lonely")["spec"]["clusterIP"]
    for path in places(machine).values():
        eventually(lambda path=path: inside(path, partial(tcp, address)) == "refused")  # type: ignore[misc]
    machine.kubectl("delete", "service", "lonely")
    for path in places(machine).values():
        eventually(lambda path=path: inside(path, partial(tcp, address)) == "refused")  # type: ignore[misc]
    assert machine.world.strays() == []


def test_nothing_gets_out_while_the_rules_are_flushed_and_they_come_back(machine: Connected) -> None:
    machine.run("nft", "flush", "ruleset")
    for path in places(machine).values():
        assert inside(path, partial(tcp, NO_SERVICE)) in ("silence", "refused", "unreachable")
        assert inside(path, partial(udp, NO_SERVICE)) in ("silence", "refused", "unreachable")
    assert machine.world.strays() == []
    eventually(lambda: "reject" in machine.run("nft", "list", "table", "ip", "kube-proxy"))
    rejected(machine)


def test_nothing_gets_out_while_the_cluster_is_killed_and_started_again(machine: Connected) -> None:
    paths = places(machine)
    over = threading.Event()
    said: list[str] = []

    def ask() -> None:
        while not over.is_set():
            said.extend(inside(path, partial(tcp, NO_SERVICE)) for path in paths.values())
            pause.wait(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        machine.end(signal.SIGKILL)
        machine.up("--keep-pods")
        assert machine.end() == 0, "its pods go on, and so do the rules"
        machine.up()
    finally:
        over.set()
        asking.join()
    assert len(said) > 20
    assert set(said) == {"refused"}
    rejected(machine)


def test_both_families_of_service_addresses_end_at_the_loopback_and_the_routes_go_again() -> None:
    name = f"kbxr{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    there = ["ip", "-netns", name]
    planned = [("10.96.0.0/16", "10.244.0.1"), ("fd01::/108", "fd00::1")]

    def ask(address: str) -> str:
        return subprocess.run([*there, "route", "get", address], capture_output=True, text=True).stdout

    def change(act: Callable[[IPRoute, list[tuple[str, str]]], None]) -> None:
        def twice() -> None:
            with IPRoute() as ip:
                act(ip, planned)
                act(ip, planned)

        inside(f"/run/netns/{name}", twice)

    try:
        for line in (
            "link set lo up",
            "link add kubrick0 type bridge",
            "link set kubrick0 up",
            "addr add 10.244.0.1/24 dev kubrick0",
            "addr add fd00::1/64 dev kubrick0 nodad",
        ):
            subprocess.run([*there, *line.split()], check=True)
        change(routes.add)
        assert "dev lo" in ask(NO_SERVICE)
        assert "src 10.244.0.1" in ask(NO_SERVICE)
        assert "dev lo" in ask("fd01::5")
        change(routes.remove)
        assert ask(NO_SERVICE) == ask("fd01::5") == ""
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
