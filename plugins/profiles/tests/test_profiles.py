"""The profiles build on each other, everything they name is there, and the default is one that can run."""

from kubrick_kernel import Composition, build_plugin_manager
from kubrick_kernel.plugins import choose_profile, collect_profiles, installed
from kubrick_kernel.settings import structure
from kubrick_profiles import kubrick_register_profiles, profiles


def default(root: bool, missing: tuple[str, ...] = ()) -> tuple[str, str]:
    """Name and reason of the profile taken when none is named."""
    chosen = choose_profile(Composition(), {profile.name: profile for profile in profiles(root, missing)})
    assert chosen is not None
    return chosen.name, chosen.reason


def test_there_are_four() -> None:
    assert set(collect_profiles(Composition())) >= {"api", "control-plane", "hollow", "full"}


def test_root_with_a_container_runtime_gets_real_containers() -> None:
    name, reason = default(root=True)
    assert name == "full"
    assert "containerd" in reason


def test_root_without_one_is_told_what_is_missing() -> None:
    assert default(root=True, missing=("runc", "nft")) == (
        "hollow",
        "real containers need programs that are missing: runc, nft",
    )


def test_anybody_else_gets_hollow_nodes() -> None:
    assert default(root=False) == ("hollow", "needs neither root nor a container runtime")


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
