"""What the machine's component decides; what it does is in tests/root."""

import os
from pathlib import Path

import pytest

from kubrick_kernel import ConfigurationError
from kubrick_machine.ground import alone, bridge_filter, gateways, mounts_below
from kubrick_machine.rights import lacks, obstacles
from kubrick_machine.routes import planned
from kubrick_machine.switches import Switches


def test_the_bridge_has_the_first_address_of_each_range() -> None:
    assert [str(one) for one in gateways(["10.244.0.0/24", "fd00::/64"])] == ["10.244.0.1/24", "fd00::1/64"]


def test_a_range_that_is_none_is_the_users_to_put_right() -> None:
    with pytest.raises(ConfigurationError, match="pod_cidrs"):
        gateways(["10.244.0.1/24"])


def test_mounts_of_the_folder_are_found_the_last_first_and_no_others() -> None:
    lines = [
        "22 1 0:20 / / rw - ext4 /dev/a rw",
        "30 22 0:31 / /data/x rw - tmpfs none rw",
        "31 30 0:32 / /data/x/a\\040b rw - tmpfs none rw",
        "32 22 0:33 / /database rw - tmpfs none rw",
    ]
    assert mounts_below("/data", lines) == ["/data/x/a b", "/data/x"]


def test_a_second_cluster_is_refused_while_the_first_runs() -> None:
    name = f"\0kubrick/test-{os.getpid()}"
    with alone(name), pytest.raises(ConfigurationError, match="another cluster"), alone(name):
        pass
    with alone(name):
        pass


def test_root_needs_the_rights_that_root_usually_has() -> None:
    assert lacks("Name:\tx\nCapEff:\t000001ffffffffff\n") == []
    assert lacks("Name:\tx\nCapEff:\t00000000a80425fb\n") == ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"], "docker's default"


def test_who_is_not_root_is_told_so_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert obstacles() == ["real containers need root"]


def test_switches_are_put_back_as_the_first_run_found_them(tmp_path: Path) -> None:
    root, file = tmp_path / "sys", tmp_path / "data" / "switches.json"
    for name, value in (("a", "0"), ("b", "1"), ("c", "0")):
        root.mkdir(exist_ok=True)
        (root / name).write_text(f"{value}\n")
    killed = Switches(file, root)
    for name in ("a", "b", "c", "absent"):
        killed.turn_on(name)
    assert [(root / name).read_text().strip() for name in "abc"] == ["1", "1", "1"]
    (root / "c").write_text("2")  # somebody else's will
    second = Switches(file, root)
    second.turn_on("a")
    second.put_back()
    assert [(root / name).read_text().strip() for name in "abc"] == ["0", "1", "2"]
    assert not file.exists()


def test_services_addresses_are_routed_where_their_family_has_pods() -> None:
    found = planned(["10.96.0.0/16", "fd01::/108"], gateways(["10.244.0.0/24"]))
    assert list(found) == [("10.96.0.0/16", "10.244.0.1")]
    both = planned(["10.96.0.0/16", " fd01::/108"], gateways(["10.244.0.0/24", "fd00::/64"]))
    assert list(both) == [("10.96.0.0/16", "10.244.0.1"), ("fd01::/108", "fd00::1")]


def test_the_module_that_shows_bridged_packets_to_the_rules_is_loaded_where_it_is_missing(tmp_path: Path) -> None:
    switches, program = tmp_path / "bridge", tmp_path / "load"
    program.write_text(f'#!/bin/sh\n[ "$1" = br_netfilter ] && mkdir {switches}\n')
    assert not bridge_filter(switches, str(program)), "it can't be started"
    program.chmod(0o755)
    assert bridge_filter(switches, str(program))
    assert bridge_filter(switches, "/not/asked")
