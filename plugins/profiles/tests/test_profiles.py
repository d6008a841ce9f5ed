"""The profiles build on each other, everything they name is there, and the default is one that can run."""

from kubrick_kernel import Composition, build_plugin_manager
from kubrick_kernel.plugins import choose_profile, collect_profiles, installed
from kubrick_kernel.settings import structure
from kubrick_profiles import kubrick_register_profiles


def test_there_are_four() -> None:
    assert set(collect_profiles(Composition())) >= {"api", "control-plane", "hollow", "full"}


def test_hollow_is_taken_when_none_is_named_for_full_changes_the_machine() -> None:
    chosen = choose_profile(Composition(), {profile.name: profile for profile in kubrick_register_profiles()})
    assert chosen is not None
    assert chosen.name == "hollow"


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
