"""Networks: chains of plugins, their cache, programs among them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kubrick_network import Attachment, CNIError, NetworkList, Networks, Plugins, bridged_list, load_lists, parse_list
from kubrick_network.testing import Fake, check_plugin

BOX = Attachment("box", "/run/netns/box")


def network(*types: str, version: str = "1.1.0", **more: Any) -> NetworkList:
    return parse_list({"cniVersion": version, "name": "net", "plugins": [{"type": kind} for kind in types], **more})


@pytest.fixture
def first() -> Fake:
    return Fake("first")


@pytest.fixture
def second() -> Fake:
    return Fake("second")


@pytest.fixture
def networks(first: Fake, second: Fake, tmp_path: Path) -> Networks:
    return Networks(Plugins([first, second]), tmp_path / "results")


CHAIN = network("first", "second")


def test_each_plugin_gets_the_result_of_the_one_before(networks: Networks, first: Fake, second: Fake) -> None:
    result = networks.add(CHAIN, BOX)
    assert first.requests[0].previous is None
    assert second.requests[0].previous == result
    assert second.requests[0].config == {
        "type": "second",
        "name": "net",
        "cniVersion": "1.1.0",
        "prevResult": second.requests[0].config["prevResult"],
    }


def test_deletion_goes_backwards_with_the_whole_result(networks: Networks, first: Fake, second: Fake) -> None:
    result = networks.add(CHAIN, BOX)
    networks.delete(CHAIN, BOX)
    assert [fake.requests[-1].previous for fake in (first, second)] == [result, result]
    assert (first.attached, second.attached) == ({}, {})
    assert networks.attachments(CHAIN) == []


def test_deletion_uses_the_configuration_of_the_time(networks: Networks, first: Fake, second: Fake) -> None:
    networks.add(CHAIN, BOX)
    networks.delete(network("first"), BOX)
    assert second.attached == {}


def test_a_failed_add_takes_back_what_was_made(networks: Networks, first: Fake, second: Fake) -> None:
    second.failing = {"ADD"}
    with pytest.raises(CNIError, match="second was told to fail"):
        networks.add(CHAIN, BOX)
    assert first.attached == {}
    assert second.requests[-1].command == "DEL"


def test_a_failing_deletion_still_asks_everybody_and_is_remembered(
    networks: Networks, first: Fake, second: Fake
) -> None:
    networks.add(CHAIN, BOX)
    second.failing = {"DEL"}
    with pytest.raises(CNIError, match="second was told to fail"):
        networks.delete(CHAIN, BOX)
    assert first.attached == {}
    assert networks.attachments(CHAIN) == [BOX]


def test_capabilities_reach_those_who_ask(networks: Networks, first: Fake, second: Fake) -> None:
    asking = parse_list(
        {
            "cniVersion": "1.0.0",
            "name": "net",
            "plugins": [{"type": "first"}, {"type": "second", "capabilities": {"portMappings": True, "mac": False}}],
        }
    )
    given = {"portMappings": [{"hostPort": 1}], "mac": "02:00:00:00:00:01", "ips": ["10.0.0.1"]}
    networks.add(asking, Attachment("box", "/run/netns/box", capabilities=given))
    assert "runtimeConfig" not in first.requests[0].config
    assert second.requests[0].runtime == {"portMappings": [{"hostPort": 1}]}
    networks.delete(asking, BOX)
    assert second.requests[-1].runtime == {"portMappings": [{"hostPort": 1}]}


def test_check_asks_in_order_and_wants_an_attachment(networks: Networks, first: Fake, second: Fake) -> None:
    with pytest.raises(CNIError) as error:
        networks.check(CHAIN, BOX)
    assert error.value.code == 3
    networks.add(CHAIN, BOX)
    networks.check(CHAIN, BOX)
    second.attached.clear()
    with pytest.raises(CNIError, match="box is not attached"):
        networks.check(CHAIN, BOX)


def test_check_may_be_switched_off(networks: Networks) -> None:
    networks.check(network("first", disableCheck=True), BOX)


def test_collection_detaches_the_stale_and_asks_the_plugins(networks: Networks, first: Fake, second: Fake) -> None:
    networks.add(CHAIN, BOX)
    networks.add(CHAIN, Attachment("old", "/run/netns/old"))
    first.attached[("net", "forgotten", "eth0")] = first.attached[("net", "box", "eth0")]
    networks.gc(CHAIN, [("box", "eth0")])
    assert [*first.attached] == [("net", "box", "eth0")]
    assert networks.attachments(CHAIN) == [BOX]
    assert first.requests[-1].valid_attachments() == {("box", "eth0")}


def test_teardown_leaves_nothing(networks: Networks, first: Fake, second: Fake, tmp_path: Path) -> None:
    networks.add(CHAIN, BOX)
    networks.teardown(CHAIN)
    assert (first.attached, second.attached, [*(tmp_path / "results").iterdir()]) == ({}, {}, [])


def test_status_says_who_can_not(networks: Networks, second: Fake) -> None:
    networks.status(CHAIN)
    second.failing = {"STATUS"}
    with pytest.raises(CNIError, match="second was told to fail"):
        networks.status(CHAIN)


def test_a_spoilt_cache_entry_is_no_entry(networks: Networks, first: Fake, tmp_path: Path) -> None:
    networks.add(CHAIN, BOX)
    (tmp_path / "results" / "net-box-eth0").write_text("{")
    networks.delete(CHAIN, BOX)
    assert first.attached == {}


PROGRAM = """#!/bin/sh
cat > "$0.$CNI_COMMAND.json"
case $CNI_COMMAND in
ADD) echo '{"cniVersion":"1.0.0","ips":[{"address":"198.51.100.7/24"}]}' ;;
CHECK) echo '{"cniVersion":"1.0.0","code":123,"msg":"gone","details":"far away"}'; exit 1 ;;
STATUS) echo nonsense >&2; exit 3 ;;
esac
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "bin" / "theirs"
    file.parent.mkdir()
    file.write_text(PROGRAM)
    file.chmod(0o755)
    return file


def test_programs_work_in_a_chain_with_ours(first: Fake, program: Path, tmp_path: Path) -> None:
    networks = Networks(Plugins([first], path=[program.parent]), tmp_path / "results")
    result = networks.add(network("theirs", "first"), BOX)
    assert [str(ip.address) for ip in result.ips] == ["198.51.100.7/24"]
    networks.delete(network("theirs", "first"), BOX)
    assert json.loads((program.parent / "theirs.DEL.json").read_text())["prevResult"]["ips"]


def test_a_programs_own_error_is_passed_on(first: Fake, program: Path, tmp_path: Path) -> None:
    networks = Networks(Plugins([], path=[program.parent]), tmp_path / "results")
    networks.add(network("theirs"), BOX)
    with pytest.raises(CNIError) as error:
        networks.check(network("theirs"), BOX)
    assert (error.value.code, error.value.msg, error.value.details) == (123, "gone", "far away")
    with pytest.raises(CNIError, match="ended with 3: nonsense"):
        networks.status(network("theirs"))


def test_a_program_stands_in_for_ours_by_configuration(program: Path, tmp_path: Path) -> None:
    ours = Fake("theirs")
    networks = Networks(Plugins([ours], standard=["theirs"], path=[program.parent]), tmp_path / "results")
    networks.add(network("theirs"), BOX)
    assert ours.requests == []


def test_a_plugin_nobody_has_is_looked_for_in_the_path(tmp_path: Path) -> None:
    networks = Networks(Plugins([Fake()]), tmp_path, ("/nowhere",))
    with pytest.raises(CNIError, match=r"failed to find plugin 'weave' in path \[/nowhere\]"):
        networks.add(network("weave"), BOX)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a network configuration list is a JSON object"),
        ({"plugins": []}, "missing network name"),
        ({"name": "n", "cniVersion": "1.0.0"}, "no plugins in list"),
        ({"name": "n", "cniVersion": "1.0.0", "plugins": [{}]}, r"plugins\[0\] lacks its type"),
        ({"name": "n", "cniVersion": "9.0.0", "plugins": [{"type": "x"}]}, "unsupported cniVersion 9.0.0"),
        (
            {"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "x"}], "disableCheck": "maybe"},
            "disableCheck must be true or false",
        ),
    ],
)
def test_a_bad_list_is_refused_with_its_reason(document: Any, message: str) -> None:
    with pytest.raises(CNIError, match=message):
        parse_list(document)


def test_the_newest_version_both_speak_is_used() -> None:
    document = {"name": "n", "cniVersion": "1.0.0", "cniVersions": ["1.1.0", "9.9.9"], "plugins": [{"type": "x"}]}
    assert parse_list(document).version == "1.1.0"


def test_a_folder_is_read_in_order_with_single_plugins_too(tmp_path: Path) -> None:
    (tmp_path / "20-b.conf").write_text(json.dumps({"cniVersion": "0.4.0", "name": "b", "type": "bridge"}))
    (tmp_path / "10-a.conflist").write_text(json.dumps(bridged_list("a", "br0", ("10.0.0.0/24",), data_dir="/x")))
    (tmp_path / "note.txt").write_text("no network")
    assert [(one.name, len(one.plugins)) for one in load_lists(tmp_path)] == [("a", 2), ("b", 1)]
    (tmp_path / "30-c.conflist").write_text("{")
    with pytest.raises(CNIError, match=r"30-c.conflist is no JSON"):
        load_lists(tmp_path)


def test_the_fake_keeps_the_contract() -> None:
    check_plugin(Fake(), {"type": "fake"})


def test_a_broken_plugin_does_not_pass_the_check() -> None:
    class Forgetful(Fake):
        def check(self, request: Any) -> None:
            raise CNIError(100, "what container?")

    with pytest.raises(CNIError, match="what container"):
        check_plugin(Forgetful(), {"type": "fake"})


def test_files_of_the_cache_are_for_this_user_alone(networks: Networks, tmp_path: Path) -> None:
    networks.add(CHAIN, BOX)
    assert os.stat(tmp_path / "results").st_mode & 0o077 == 0
