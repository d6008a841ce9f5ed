"""Addresses from ranges: the right ones, once each, whoever else is busy and whoever is killed."""

import json
import os
import signal
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kubrick_cni_host_local.disk import locked
from kubrick_cni_host_local.plugin import HostLocal, read_resolv_conf
from kubrick_cni_host_local.ranges import parse_range_sets
from kubrick_network import CNIError, Request
from kubrick_network.contract import ADD, CHECK, DEL, GC, STATUS
from kubrick_network.testing import check_plugin, network_alone, request

PLUGIN = HostLocal()


def ask(folder: Path, command: str = ADD, *, container: str = "box", **ipam: Any) -> Request:
    if not ipam:
        ipam = {"subnet": "10.1.2.0/24"}
    return request(command, container=container, ipam={"type": "host-local", "dataDir": str(folder), **ipam})


def add(folder: Path, container: str = "box", **ipam: Any) -> list[str]:
    return [str(one.address) for one in PLUGIN.add(ask(folder, container=container, **ipam)).ips]


def test_it_answers_the_hook() -> None:
    kernel = network_alone("cni-host-local")
    (plugins,) = kernel.plugins.hook.kubrick_register_cni(kernel=kernel)
    assert [plugin.name for plugin in plugins] == ["host-local"]


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_plugin(PLUGIN, {"ipam": {"dataDir": str(tmp_path), "ranges": [[{"subnet": "10.1.2.0/24"}]]}})
    assert [*tmp_path.iterdir()] == []


def test_addresses_begin_after_the_gateway(tmp_path: Path) -> None:
    result = PLUGIN.add(ask(tmp_path, subnet="10.1.2.0/24", routes=[{"dst": "0.0.0.0/0"}]))
    assert [str(result.ips[0].address), str(result.ips[0].gateway)] == ["10.1.2.2/24", "10.1.2.1"]
    assert str(result.routes[0].dst) == "0.0.0.0/0"


def test_files_are_laid_out_as_containernetworking_does(tmp_path: Path) -> None:
    add(tmp_path, subnet="10.1.2.0/24")
    assert (tmp_path / "net" / "10.1.2.2").read_bytes() == b"box\r\neth0"
    assert (tmp_path / "net" / "last_reserved_ip.0").read_text() == "10.1.2.2"
    assert sorted(file.name for file in (tmp_path / "net").iterdir()) == ["10.1.2.2", "last_reserved_ip.0", "lock"]


def test_one_address_of_each_set_and_both_families(tmp_path: Path) -> None:
    sets = [[{"subnet": "10.1.2.0/24"}], [{"subnet": "fd00:1::/64"}]]
    assert add(tmp_path, ranges=sets) == ["10.1.2.2/24", "fd00:1::2/64"]


def test_a_freed_address_is_given_again_only_after_the_others(tmp_path: Path) -> None:
    assert add(tmp_path, "a", subnet="10.1.2.0/29") == ["10.1.2.2/29"]
    PLUGIN.delete(ask(tmp_path, DEL, container="a"))
    given = [add(tmp_path, name, subnet="10.1.2.0/29")[0] for name in "bcdef"]
    assert given == ["10.1.2.3/29", "10.1.2.4/29", "10.1.2.5/29", "10.1.2.6/29", "10.1.2.2/29"]
    with pytest.raises(CNIError, match=r"no IP addresses available in range set: 10\.1\.2\.1-10\.1\.2\.6"):
        add(tmp_path, "g", subnet="10.1.2.0/29")


def test_ranges_of_a_set_follow_each_other_round(tmp_path: Path) -> None:
    ranges = [
        {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.11"},
        {"subnet": "10.0.9.0/24", "rangeStart": "10.0.9.5", "rangeEnd": "10.0.9.5"},
    ]
    given = [add(tmp_path, name, ranges=[ranges])[0] for name in "abc"]
    assert given == ["10.0.0.10/24", "10.0.0.11/24", "10.0.9.5/24"]
    PLUGIN.delete(ask(tmp_path, DEL, container="b"))
    assert add(tmp_path, "d", ranges=[ranges]) == ["10.0.0.11/24"]


def test_a_failure_in_the_second_set_frees_the_first(tmp_path: Path) -> None:
    sets = [[{"subnet": "10.1.2.0/24"}], [{"subnet": "10.9.9.0/30"}]]
    add(tmp_path, "a", ranges=sets)
    with pytest.raises(CNIError, match="failed to allocate for range 1"):
        add(tmp_path, "b", ranges=sets)
    assert not (tmp_path / "net" / "10.1.2.3").exists()


@pytest.mark.parametrize(
    "how",
    [
        lambda asked: evolve(asked, args={"IP": "10.1.2.77"}),
        lambda asked: evolve(asked, config={**asked.config, "runtimeConfig": {"ips": ["10.1.2.77/24"]}}),
        lambda asked: evolve(asked, config={**asked.config, "args": {"cni": {"ips": ["10.1.2.77"]}}}),
    ],
)
def test_an_address_may_be_asked_for_in_three_ways(tmp_path: Path, how: Callable[[Request], Request]) -> None:
    assert str(PLUGIN.add(how(ask(tmp_path))).ips[0].address) == "10.1.2.77/24"
    other = evolve(how(ask(tmp_path)), container_id="other")
    with pytest.raises(CNIError, match=r"requested IP address 10\.1\.2\.77 is not available"):
        PLUGIN.add(other)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.1.2.1", "requested ip 10.1.2.1 is subnet's gateway"),
        ("10.9.9.9", "failed to allocate all requested IPs"),
        ("somewhere", "a requested IP is no address"),
    ],
)
def test_an_address_that_can_not_be_had_is_refused(tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(CNIError, match=message):
        PLUGIN.add(evolve(ask(tmp_path), args={"IP": address}))
    with locked(tmp_path / "net") as book:
        assert book.taken() == set()


def test_the_same_attachment_twice_is_an_error(tmp_path: Path) -> None:
    add(tmp_path, subnet="10.1.2.0/24")
    with pytest.raises(CNIError, match="duplicate allocation is not allowed"):
        add(tmp_path, subnet="10.1.2.0/24")


def test_check_wants_the_reservation(tmp_path: Path) -> None:
    result = PLUGIN.add(ask(tmp_path))
    PLUGIN.check(ask(tmp_path, CHECK))
    (tmp_path / "net" / str(result.ips[0].address.ip)).unlink()
    with pytest.raises(CNIError, match="Failed to find address added by container box"):
        PLUGIN.check(ask(tmp_path, CHECK))


def test_collection_frees_what_nobody_uses_and_what_nobody_can_tell(tmp_path: Path) -> None:
    for name in ("old", "box"):
        add(tmp_path, name, subnet="10.1.2.0/24")
    (tmp_path / "net" / "10.1.2.9").write_text("")
    asked = ask(tmp_path, GC)
    valid = {"cni.dev/valid-attachments": [{"containerID": "box", "ifname": "eth0"}]}
    PLUGIN.gc(evolve(asked, config={**asked.config, **valid}))
    with locked(tmp_path / "net") as book:
        assert book.taken() == {"10.1.2.3"}


def test_status_says_when_nothing_is_left(tmp_path: Path) -> None:
    PLUGIN.status(ask(tmp_path, STATUS, subnet="10.1.2.0/30"))
    add(tmp_path, subnet="10.1.2.0/30")
    with pytest.raises(CNIError) as error:
        PLUGIN.status(ask(tmp_path, STATUS, subnet="10.1.2.0/30"))
    assert error.value.code == 50


def test_resolv_conf_is_read_and_a_missing_one_said(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# mine\nnameserver 10.0.0.10\nnameserver fd00::a\nsearch a.example b.example\noptions ndots:5\n")
    dns = PLUGIN.add(ask(tmp_path / "data", subnet="10.1.2.0/24", resolvConf=str(file))).dns
    assert dns == read_resolv_conf(file.read_text())
    assert (dns.nameservers, dns.search, dns.options) == (
        ("10.0.0.10", "fd00::a"),
        ("a.example", "b.example"),
        ("ndots:5",),
    )
    with pytest.raises(CNIError, match="resolvConf can't be read"):
        PLUGIN.add(ask(tmp_path / "data", container="b", subnet="10.1.2.0/24", resolvConf="/nowhere"))


@pytest.mark.parametrize(
    ("ipam", "message"),
    [
        ({"ranges": []}, "no IP ranges specified"),
        ({"subnet": "10.1.2.3/24"}, "network has host bits set"),
        ({"subnet": "10.1.2.0/31"}, "too small to allocate from"),
        ({"subnet": "10.1.2.0/24", "rangeStart": "10.9.9.9"}, "rangeStart 10.9.9.9 not in network"),
        ({"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.3"}, "is after rangeEnd"),
        ({"subnet": "10.1.2.0/24", "gateway": "gate"}, "gateway: 'gate'"),
        ({"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "10.1.2.0/24"}]]}, "range set 1 overlaps with 0"),
        ({"ranges": [[{"subnet": "10.1.0.0/16"}, {"subnet": "fd00::/64"}]]}, "mismatched address families"),
        ({"ranges": [[{"subnet": "10.1.0.0/16"}, {"subnet": "10.1.2.0/24"}]]}, "subnets overlap"),
        ({"ranges": [[]]}, "it must be a list of ranges"),
        ({"ranges": [[{}]]}, "a range needs its subnet"),
        ({"ranges": {}, "x": 1}, "no IP ranges specified"),
    ],
)
def test_a_bad_range_is_refused_with_its_reason(tmp_path: Path, ipam: dict[str, Any], message: str) -> None:
    with pytest.raises(CNIError) as error:
        PLUGIN.add(ask(tmp_path, **ipam))
    assert message in str(error.value)
    assert error.value.code == 7


@given(st.integers(2, 30), st.integers(0, 3), st.data())
def test_the_walk_visits_every_address_but_the_gateway_once(prefix: int, extra: int, data: st.DataObject) -> None:
    prefix = max(prefix, 25)
    ranges = [{"subnet": f"10.{n}.0.0/{prefix}"} for n in range(extra + 1)]
    (one,) = parse_range_sets({"ranges": [ranges]}, {})
    everything = [str(address) for _, address in one.after(None)]
    assert len(everything) == len(set(everything)) == (extra + 1) * (2 ** (32 - prefix) - 3)
    last = data.draw(st.sampled_from(everything))
    assert sorted(str(address) for _, address in one.after(ip_address(last))) == sorted(everything)


class Clients(RuleBasedStateMachine):
    """Containers come and go in a range of 13 addresses; now and then one's client is killed at an
    arbitrary step of its work, and the runtime later calls DEL for it, as runtimes do."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name)
        self.held: dict[str, str] = {}
        self.killed: set[str] = set()
        self.count = 0

    def teardown(self) -> None:
        self.scratch.cleanup()

    def ask(self, command: str, container: str) -> Request:
        return ask(self.folder, command, container=container, subnet="10.1.2.0/28")

    @rule()
    def attach(self) -> None:
        self.count += 1
        try:
            self.held[f"c{self.count}"] = add(self.folder, f"c{self.count}", subnet="10.1.2.0/28")[0]
        except CNIError:
            assert len(self.held) + len(self.killed) == 13

    @rule(step=st.integers(1, 9), command=st.sampled_from([ADD, DEL]))
    def killed_at(self, step: int, command: str) -> None:
        """A client that dies in the middle of ADD, or of the DEL of a container that has an address."""
        if command == DEL and not self.held:
            return
        self.count += 1
        container = next(iter(self.held)) if command == DEL else f"c{self.count}"
        asked = self.ask(command, container)
        child = os.fork()
        if not child:
            try:
                die_at(step, lambda: PLUGIN.add(asked) if command == ADD else PLUGIN.delete(asked))
            finally:
                os._exit(1)
        os.waitpid(child, 0)
        self.held.pop(container, None)
        self.killed.add(container)
        with locked(self.folder / "net") as book:
            self.killed = {name for name in self.killed if book.of((name, "eth0"))}

    @rule()
    def detach(self) -> None:
        for container in [*self.killed, *[*self.held][:1]]:
            PLUGIN.delete(self.ask(DEL, container))
            self.held.pop(container, None)
        self.killed.clear()

    @rule()
    def collect(self) -> None:
        asked = self.ask(GC, "")
        valid = [{"containerID": name, "ifname": "eth0"} for name in self.held]
        PLUGIN.gc(evolve(asked, config={**asked.config, "cni.dev/valid-attachments": valid}))
        self.killed.clear()

    @invariant()
    def nobody_shares_an_address(self) -> None:
        assert len(set(self.held.values())) == len(self.held)
        if (self.folder / "net").is_dir():
            with locked(self.folder / "net") as book:
                for container, address in self.held.items():
                    assert [f"{one}/28" for one in book.of((container, "eth0"))] == [address]
                assert book.taken() - {address.partition("/")[0] for address in self.held.values()} == {
                    str(one) for name in self.killed for one in book.of((name, "eth0"))
                }


def die_at(step: int, work: Callable[[], object]) -> None:
    """Do `work`, and be gone at its `step`th call that touches a file."""
    left = [step]

    def hook(event: str, _: object) -> None:
        if event in ("open", "os.link", "os.remove", "os.rename", "os.mkdir", "fcntl.flock"):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work()


TestClientsThatAreKilled = Clients.TestCase
TestClientsThatAreKilled.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_clients_at_once_never_get_the_same_address(tmp_path: Path) -> None:
    """Six processes attach and detach at once in a range of 13 addresses, and note what they hold."""
    children = [spawn(tmp_path, number) for number in range(6)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    held = [json.loads(file.read_text()) for file in tmp_path.glob("held-*")]
    given = [address for mine in held for address in mine.values()]
    assert len(given) == len(set(given)) == 12
    with locked(tmp_path / "net") as book:
        owners = {name: owner[0] for name, owner in book.entries()}
    assert owners == {address.partition("/")[0]: name for mine in held for name, address in mine.items()}


def spawn(folder: Path, number: int) -> int:
    """A process that attaches and detaches 30 times, keeping at most two."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        held: dict[str, str] = {}
        for turn in range(30):
            if len(held) == 2:
                PLUGIN.delete(ask(folder, DEL, container=(gone := next(iter(held)))))
                del held[gone]
            name = f"p{number}-{turn}"
            held[name] = add(folder, name, subnet="10.1.2.0/28")[0]
        (folder / f"held-{number}").write_text(json.dumps(held))
        code = 0
    finally:
        os._exit(code)
