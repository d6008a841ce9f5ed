"""Only what a composition names is imported, and whatever doesn't fit is one clear error."""

import types
from collections.abc import Callable, Sequence
from typing import Any

import pluggy
import pytest

from kubrick_kernel import Composition, ConfigurationError, Profile, build_plugin_manager, hookimpl, hookspec
from kubrick_kernel.plugins import PROFILE_VARIABLE, installed


def plugin(**functions: Callable[..., Any]) -> types.ModuleType:
    """A plugin module with these hook implementations."""
    module = types.ModuleType("made_up", "A plugin made up for a test.")
    for name, function in functions.items():
        setattr(module, name, hookimpl(function))
    return module


def profiles(*found: Profile) -> types.ModuleType:
    def kubrick_register_profiles() -> Sequence[Profile]:
        return found

    return plugin(kubrick_register_profiles=kubrick_register_profiles)


TINY = Profile("tiny", "nothing at all", plugins=(), store="memory")


def build(composition: Composition, **extra: object) -> Any:
    return build_plugin_manager(composition, {"tiny": profiles(TINY)} | extra)


def test_the_kernels_own_store_is_found_like_a_strangers() -> None:
    assert installed()["store-memory"].value == "kubrick_kernel.store_memory"


def test_a_profile_may_include_others_and_a_composition_adds_and_removes() -> None:
    wide = Profile("wide", "more", plugins=("two",), includes=("narrow",), store="memory")
    narrow = Profile("narrow", "less", plugins=("one",), store="memory")
    extra: dict[str, object] = {"p": profiles(wide, narrow), "one": plugin(), "two": plugin(), "three": plugin()}
    manager = build_plugin_manager(Composition(profile="wide", disable=("one",), enable=("three",)), extra)
    assert manager.profile is wide
    assert manager.names() == ["store-memory", "two", "three", "p", "one"]


def test_a_profile_that_includes_itself_is_an_error() -> None:
    a, b = Profile("a", "", (), includes=("b",)), Profile("b", "", (), includes=("a",))
    with pytest.raises(ConfigurationError, match="profile 'a' includes itself: a → b → a"):
        build_plugin_manager(Composition(profile="a"), {"p": profiles(a, b)})


def test_an_included_profile_must_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"profile 'a' includes unknown profile 'tin'; did you mean tiny\?"):
        build(Composition(profile="a"), p=profiles(Profile("a", "", (), includes=("tin",))))


@pytest.mark.parametrize(
    ("composition", "message"),
    [
        (Composition(profile="tinyy"), "the composition: unknown profile 'tinyy'; did you mean tiny"),
        (Composition(profile="tiny", enable=("nope",)), r"\[cluster\] enable: there is no plugin 'nope'"),
        (Composition(profile="tiny", disable=("nope",)), r"\[cluster\] disable: there is no plugin 'nope'"),
        (
            Composition(profile="tiny", plugins={"store-memroy": {}}),
            r"\[plugins.store-memroy\]: there is no plugin 'store-memroy'; did you mean store-memory",
        ),
        (Composition(profile="tiny", store="memroy"), "unknown store 'memroy'; did you mean memory"),
    ],
)
def test_a_name_that_is_not_installed_is_an_error_with_the_closest_names(
    composition: Composition, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(composition)


def test_a_profile_whose_plugin_is_not_installed_says_what_to_install() -> None:
    lacking = Profile("lacking", "", plugins=("warp-drive",), store="memory")
    with pytest.raises(ConfigurationError, match=r"needs plugin 'warp-drive', which is not installed: .*kubrick-warp-"):
        build_plugin_manager(Composition(profile="lacking"), {"p": profiles(lacking)})


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing names a profile; what the tests' own profiles are preferred to can run anywhere."""
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)


def obstructed(*obstacles: str) -> object:
    def kubrick_register_obstacles(composition: Composition) -> Sequence[str]:
        return obstacles

    return plugin(kubrick_register_obstacles=kubrick_register_obstacles)


BEST = Profile("best", "", ("steep",), store="memory", preference=1000, reason="it is the best")
GOOD = Profile("good", "", (), store="memory", preference=999, reason="it is good")


def test_the_preferred_profile_is_taken_when_none_is_named(unnamed: None) -> None:
    manager = build(Composition(), p=profiles(GOOD, BEST), steep=obstructed())
    assert manager.profile is BEST
    assert manager.why == "the default here: it is the best"


def test_a_preferred_profile_with_an_obstacle_is_passed_over_and_it_is_said_why(unnamed: None) -> None:
    # The plugin is an extra, and so takes part in every profile: it is in the way of the better one only.
    def kubrick_register_obstacles(composition: Composition) -> Sequence[str]:
        return next(answers)

    answers = iter([["no rope", "no boots"], []])
    steep = plugin(kubrick_register_obstacles=kubrick_register_obstacles)
    manager = build(Composition(), p=profiles(GOOD, BEST), steep=steep)
    assert manager.profile is GOOD
    assert manager.why == "the default here: it is good; not best: no rope"


def test_what_comes_after_the_first_obstacle_is_not_even_looked_for(unnamed: None) -> None:
    higher = Profile("higher", "", ("steep", "warp-drive"), store="memory", preference=1001)
    answers = iter([["no rope"], []])
    steep = plugin(kubrick_register_obstacles=lambda composition: next(answers))
    manager = build(Composition(), p=profiles(GOOD, higher), steep=steep)
    assert manager.why == "the default here: it is good; not higher: no rope"


def test_a_preferred_profile_whose_plugin_is_not_installed_is_passed_over(unnamed: None) -> None:
    manager = build(Composition(), p=profiles(GOOD, BEST))
    assert manager.profile is GOOD
    assert "not best: profile 'best' needs plugin 'steep', which is not installed" in manager.why


def test_with_obstacles_everywhere_the_preferred_profile_is_taken_to_say_what_is_wrong(unnamed: None) -> None:
    composition = Composition()
    manager = build(composition, p=profiles(GOOD, BEST), steep=obstructed("no rope"))
    assert manager.profile is BEST
    assert manager.obstacles(composition) == ["no rope"]


def test_a_profile_that_is_named_is_taken_whatever_is_in_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"p": profiles(GOOD, BEST), "steep": obstructed("no rope")}
    assert build(Composition(profile="best"), **extra).profile is BEST
    monkeypatch.setenv(PROFILE_VARIABLE, "best")
    assert build(Composition(), **extra).profile is BEST
    assert build(Composition(profile="good"), **extra).profile is GOOD
    monkeypatch.setenv(PROFILE_VARIABLE, "bset")
    with pytest.raises(ConfigurationError, match="variable KUBRICK_PROFILE: unknown profile 'bset'; did you mean best"):
        build(Composition(), **extra)


def test_two_profiles_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two plugins contribute a profile called 'tiny'"):
        build(Composition(profile="tiny"), p=profiles(TINY))


def test_a_hosts_hooks_are_open_to_others_whatever_the_order() -> None:
    class Specs:
        @hookspec
        def kubrick_register_doors(self, colour: str) -> Sequence[str]:
            return ()

    def kubrick_add_hookspecs(manager: pluggy.PluginManager) -> None:
        manager.add_hookspecs(Specs)

    def kubrick_register_doors(colour: str) -> Sequence[str]:
        return [f"{colour} door"]

    manager = build(
        Composition(profile="tiny"),
        leaf=plugin(kubrick_register_doors=kubrick_register_doors),
        host=plugin(kubrick_add_hookspecs=kubrick_add_hookspecs),
    )
    assert manager.hook.kubrick_register_doors(colour="red") == [["red door"]]
    assert manager.hooks_of("leaf") == ["kubrick_register_doors"]
    assert [name for name, _ in manager.implementers("kubrick_register_doors")] == ["leaf"]


def test_a_misspelt_hook_is_an_error_that_names_the_plugin_and_the_hook() -> None:
    def kubrick_register_component(kernel: object) -> Sequence[object]:
        return ()

    message = "plugin 'x' answers kubrick_register_component, a hook that no enabled plugin has; "
    with pytest.raises(ConfigurationError, match=message + "did you mean kubrick_register_components?"):
        build(Composition(profile="tiny"), x=plugin(kubrick_register_component=kubrick_register_component))


def test_a_hook_whose_host_is_not_enabled_says_so() -> None:
    def kubrick_register_doors() -> Sequence[str]:
        return ()

    with pytest.raises(ConfigurationError, match="enable the plugin that owns this hook"):
        build(Composition(profile="tiny"), x=plugin(kubrick_register_doors=kubrick_register_doors))


def test_a_hook_with_a_wrong_argument_is_an_error_that_names_it() -> None:
    def kubrick_register_components(kernal: object) -> Sequence[object]:
        return ()

    with pytest.raises(ConfigurationError, match=r"plugin 'x' is broken: .*kernal"):
        build(Composition(profile="tiny"), x=plugin(kubrick_register_components=kubrick_register_components))
