"""What somebody took away is put back: which attachments are known, and which of rtnetlink's messages matter."""

import json
import struct
from pathlib import Path

from kubrick_network.contract import CNIPlugin, Request, Restoring
from kubrick_network.errors import CNIError
from kubrick_network.ledger import Ledger
from kubrick_network.namespace import NoNamespace
from kubrick_network.plugins import Plugins
from kubrick_network.result import Interface
from kubrick_network.testing import Fake
from kubrick_network.watch import gone

CONFIG = {"cniVersion": "1.0.0", "name": "net", "type": "fake"}


class Menders(Fake):
    """Can make again what it lost. Containers in `ended` have no namespace any more."""

    tables = ("menders",)

    def __init__(self, name: str = "fake") -> None:
        super().__init__(name)
        self.ended: set[str] = set()

    def check(self, request: Request) -> None:
        if request.container_id in self.ended:
            raise NoNamespace(request.netns, "gone")
        super().check(request)

    def restore(self, request: Request) -> None:
        assert request.previous is not None
        self.attached[(request.network, *request.attachment)] = request.previous


def environment(command: str, container: str = "box") -> dict[str, str]:
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": "/run/netns/box",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": "/bin",
    }


def serve(plugins: Plugins, command: str, container: str = "box", name: str = "fake") -> None:
    code, output = plugins.serve(name, environment(command, container), json.dumps(CONFIG).encode())
    assert code == 0, output


def made(folder: Path, *plugins: CNIPlugin) -> Plugins:
    return Plugins(plugins, ledger=Ledger(folder))


def test_what_was_lost_is_made_again_with_the_same_result_and_nothing_else(tmp_path: Path) -> None:
    fake = Menders()
    plugins = made(tmp_path, fake)
    serve(plugins, "ADD", "one")
    serve(plugins, "ADD", "two")
    before = dict(fake.attached)
    assert plugins.restore() == 0
    del fake.attached["net", "two", "eth0"]
    assert plugins.restore() == 1
    assert {key: made.ips for key, made in fake.attached.items()} == {key: made.ips for key, made in before.items()}


def test_what_was_lost_while_the_agent_was_away_is_made_again_after_its_start(tmp_path: Path) -> None:
    serve(made(tmp_path, Menders()), "ADD")
    fresh = Menders()
    assert made(tmp_path, fresh).restore() == 1
    assert list(fresh.attached) == [("net", "box", "eth0")]


def test_what_was_detached_is_not_made_again(tmp_path: Path) -> None:
    fake = Menders()
    plugins = made(tmp_path, fake)
    serve(plugins, "ADD")
    serve(plugins, "DEL")
    serve(plugins, "DEL")
    assert plugins.restore() == 0
    assert not fake.attached
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_notes_does_not_keep_a_container_from_being_detached(tmp_path: Path) -> None:
    one, two = Menders("one"), Menders("two")
    plugins = made(tmp_path / "notes", one, two)
    serve(plugins, "ADD", name="one")
    serve(plugins, "ADD", name="two")
    (tmp_path / "notes" / ".net-box-eth0").mkdir()  # nothing can be written there
    code, output = plugins.serve("one", environment("ADD"), json.dumps(CONFIG).encode())
    assert (code, json.loads(output)["msg"]) == (1, "the attachment can't be noted")
    serve(plugins, "DEL", name="one")
    assert not one.attached
    assert plugins.restore() == 0


def test_a_failed_attachment_is_not_noted(tmp_path: Path) -> None:
    fake = Menders()
    fake.failing.add("ADD")
    plugins = made(tmp_path, fake)
    assert plugins.serve("fake", environment("ADD"), json.dumps(CONFIG).encode())[0] == 1
    fake.failing.clear()
    assert plugins.restore() == 0


def test_a_container_that_has_ended_is_left_to_its_deletion(tmp_path: Path) -> None:
    fake = Menders()
    plugins = made(tmp_path, fake)
    serve(plugins, "ADD", "ended")
    serve(plugins, "ADD", "alive")
    fake.attached.clear()
    fake.ended.add("ended")
    assert plugins.restore() == 1
    assert list(fake.attached) == [("net", "alive", "eth0")]


def test_one_that_can_not_be_made_again_does_not_keep_others_from_it(tmp_path: Path) -> None:
    class Stubborn(Menders):
        def restore(self, request: Request) -> None:
            if request.container_id == "one":
                raise CNIError(5, "no")
            super().restore(request)

    fake = Stubborn()
    plugins = made(tmp_path, fake)
    serve(plugins, "ADD", "one")
    serve(plugins, "ADD", "two")
    fake.attached.clear()
    assert plugins.restore() == 2
    assert list(fake.attached) == [("net", "two", "eth0")]


def test_plugins_that_can_not_restore_are_left_alone(tmp_path: Path) -> None:
    fake = Fake()
    assert not isinstance(fake, Restoring)
    plugins = made(tmp_path, fake)
    serve(plugins, "ADD")
    fake.attached.clear()
    assert (plugins.restore(), plugins.tables) == (0, ())


def test_a_damaged_note_is_passed_over(tmp_path: Path) -> None:
    serve(made(tmp_path, Menders()), "ADD")
    (tmp_path / "net-other-eth0").write_text("[{")
    assert made(tmp_path, Menders()).restore() == 1


def test_the_hosts_interfaces_are_known_and_the_containers_are_not_among_them(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    fake = Menders()
    request = Request("ADD", CONFIG, "box", "/run/netns/box", "eth0")
    result = fake.add(request)
    result = type(result)((Interface("br0"), Interface("veth1"), *result.interfaces), result.ips)
    ledger.note("fake", request, result)
    assert ledger.interfaces() == {"br0", "veth1"}
    assert Ledger(tmp_path).interfaces() == {"br0", "veth1"}


def message(kind: int, name: str, flags: int) -> bytes:
    text = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(text), 3) + text + bytes(-len(text) % 4)
    body = struct.pack("=BxHiII", 0, 1, 7, flags, 0) + attribute
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_links_that_go_or_go_down_are_found_among_rtnetlinks_messages() -> None:
    told = [message(16, "up", 1), message(17, "deleted", 1), message(16, "down", 0), message(20, "address", 0)]
    assert list(gone(b"".join(told))) == ["deleted", "down"]
