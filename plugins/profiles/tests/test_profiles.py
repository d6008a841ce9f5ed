"""The profiles build on each other, everything they name is there, and the default is one that can run."""

from collections.abc import Callable, Sequence

import pytest

from kubrick_kernel import Composition, build_plugin_manager
from kubrick_kernel.plugins import PROFILE_VARIABLE, collect_profiles, installed
from kubrick_kernel.settings import structure
from kubrick_profiles import kubrick_register_profiles

Machine = Callable[..., None]


def test_there_are_four() -> None:
    assert set(collect_profiles(Composition())) >= {"api", "control-plane", "hollow", "full"}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Nothing names a profile, and the machine is what the test says."""
    monkeypatch.delenv(PROFILE_VARIABLE)

    def describe(*, user: int = 0, packages: Sequence[str] = ()) -> None:
        monkeypatch.setattr("os.geteuid", lambda: user)
        monkeypatch.setattr("kubrick_machine.rights.lacks", lambda status: [])
        monkeypatch.setattr("kubrick_network.nft.load", lambda: None)
        monkeypatch.setattr("kubrick_runtime_cri.needs.missing_packages", lambda: list(packages))

    return describe


def test_root_with_a_container_runtime_gets_real_containers(machine: Machine) -> None:
    machine()
    manager = build_plugin_manager(Composition(store="memory"))
    assert manager.profile_name == "full"
    assert manager.why == "the default here: this is root, and has what real containers take"


def test_anybody_else_gets_simulated_nodes_and_is_told_why(machine: Machine) -> None:
    machine(user=1000)
    manager = build_plugin_manager(Composition(store="memory"))
    assert manager.profile_name == "hollow"
    assert manager.why == (
        "the default here: needs neither root nor a container runtime; not full: real containers need root"
    )


def test_root_without_a_container_runtime_is_told_what_to_install(machine: Machine) -> None:
    machine(packages=["containerd", "runc"])
    manager = build_plugin_manager(Composition(store="memory"))
    assert manager.profile_name == "hollow"
    assert manager.why.endswith("packages that are missing; as root: apt-get install containerd runc")
    named = Composition(profile="full", store="memory")
    assert build_plugin_manager(named).obstacles(named) == [
        "real containers need packages that are missing; as root: apt-get install containerd runc"
    ]


def test_a_runtime_of_the_users_own_needs_no_packages_of_ours(machine: Machine) -> None:
    machine(packages=["containerd"])
    manager = build_plugin_manager(Composition(store="memory", plugins={"runtime-cri": {"endpoint": "/run/crio.sock"}}))
    assert manager.profile_name == "full"


def test_everything_they_name_is_installed() -> None:
    named = {plugin for profile in kubrick_register_profiles() for plugin in profile.plugins}
    assert named <= set(installed())


def test_each_has_what_the_one_it_includes_has() -> None:
    api, control_plane, hollow, full = (
        set(build_plugin_manager(Composition(profile=name, store="memory")).names())
        for name in ("api", "control-plane", "hollow", "full")
    )
    assert api < control_plane < hollow
    assert control_plane < full
    assert "scheduler" in control_plane - api
    assert "runtime-hollow" in hollow - control_plane
    assert "runtime-cri" in full - control_plane


def test_their_settings_are_settings_that_there_are() -> None:
    manager = build_plugin_manager(Composition(profile="full", store="memory"))
    classes = dict(manager.implementers("kubrick_register_settings"))
    for plugin, table in manager.defaults.items():
        assert structure(classes[plugin](), table, plugin)
