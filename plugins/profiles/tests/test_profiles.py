"""The profiles build on each other, and everything they name is there."""

from kubrick_kernel import Composition, build_plugin_manager
from kubrick_kernel.plugins import collect_profiles, installed
from kubrick_profiles import kubrick_register_profiles


def test_there_are_three_and_hollow_is_preferred() -> None:
    profiles = collect_profiles(Composition())
    assert set(profiles) >= {"api", "control-plane", "hollow"}
    assert max(profiles.values(), key=lambda profile: profile.preference).name == "hollow"


def test_everything_they_name_is_installed() -> None:
    named = {plugin for profile in kubrick_register_profiles() for plugin in profile.plugins}
    assert named <= set(installed())


def test_each_has_what_the_one_before_it_has() -> None:
    api, control_plane, hollow = (
        set(build_plugin_manager(Composition(profile=name, store="memory")).names())
        for name in ("api", "control-plane", "hollow")
    )
    assert api < control_plane < hollow
    assert "scheduler" in control_plane - api
    assert "runtime-hollow" in hollow - control_plane
