"""The kernel hands plugins their settings and each other's offers, and runs their components."""

import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio
from attrs import frozen

from kubrick_kernel import (
    Bus,
    Component,
    Composition,
    ConfigurationError,
    Kernel,
    MemoryStore,
    Profile,
    Put,
    Store,
    TrioClock,
    build_plugin_manager,
    hookimpl,
)
from kubrick_kernel.datadir import STATUS, read_status


@hookimpl
def kubrick_register_profiles() -> Sequence[Profile]:
    return (Profile("bare", "nothing but the kernel", plugins=(), store="memory"),)


class Bell(Protocol):
    def ring(self) -> str: ...


class Brass:
    def ring(self) -> str:
        return "ding"


@frozen
class Settings:
    volume: int = 5


class Ringer:
    name = "ringer"
    requires = ("bus",)

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        self._kernel.announcements["bell"] = self._kernel.find(Bell).ring()
        task_status.started()
        await trio.sleep_forever()


def plugin(*functions: Callable[..., Any]) -> types.ModuleType:
    module = types.ModuleType("made_up")
    for function in functions:
        setattr(module, function.__name__, hookimpl(function))
    return module


def kubrick_register_settings() -> type | None:
    return Settings


def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    kernel.offer(Bell, Brass())
    return [Ringer(kernel)]


def make(extra: dict[str, object] | None = None, plugins: dict[str, Any] | None = None, **options: Any) -> Kernel:
    composition = Composition(profile="bare", plugins=plugins or {})
    profile = plugin(kubrick_register_profiles)
    return Kernel(composition, plugins=build_plugin_manager(composition, {"bare": profile, **(extra or {})}), **options)


def test_settings_are_an_object_of_the_plugins_class() -> None:
    bell: dict[str, object] = {"bell": plugin(kubrick_register_settings)}
    assert make(bell).settings("bell") == Settings(5)
    assert make(bell, {"bell": {"volume": 11}}).settings("bell") == Settings(11)
    with pytest.raises(LookupError, match="'gong' takes no part or has no settings"):
        make(bell).settings("gong")


def test_wrong_settings_name_the_plugin_and_the_key() -> None:
    bell: dict[str, object] = {"bell": plugin(kubrick_register_settings)}
    with pytest.raises(ConfigurationError, match=r"\[plugins.bell\]: unknown key 'volumen'; did you mean volume\?"):
        make(bell, {"bell": {"volumen": 11}})
    with pytest.raises(ConfigurationError, match=r"\[plugins.mute\]: plugin 'mute' has no settings; remove this table"):
        make({"mute": plugin()}, {"mute": {"volume": 1}})


def test_offers_are_found_by_their_contract() -> None:
    kernel = make({"bell": plugin(kubrick_register_components)})
    assert kernel.has(Bell)
    assert kernel.find(Bell).ring() == "ding"
    with pytest.raises(ConfigurationError, match=r"two plugins offer .*\.Bell"):
        kernel.offer(Bell, Brass())


def test_a_missing_offer_says_what_is_offered() -> None:
    with pytest.raises(LookupError, match=r"no enabled plugin offers .*\.Bell; offered are: nothing"):
        make().find(Bell)


async def test_it_runs_store_bus_and_the_plugins_components(autojump_clock: trio.testing.MockClock) -> None:
    kernel = make({"bell": plugin(kubrick_register_components)}, clock=TrioClock())
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        assert kernel.readiness() == {"store": True, "bus": True, "compactor": True, "ringer": True}
        assert kernel.announcements == {"bell": "ding"}
        assert isinstance(kernel.store, MemoryStore)
        assert isinstance(kernel.bus, Bus)
        await kernel.bus.commit([Put(b"things/one", b"1")])
        kernel.shutdown()


async def test_with_a_data_directory_it_holds_it_and_says_how_it_is(tmp_path: Path) -> None:
    kernel = make({"bell": plugin(kubrick_register_components)}, data_dir=tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        status = read_status(tmp_path)
        assert status is not None
        assert status["components"] == {"store": True, "bus": True, "compactor": True, "ringer": True}
        assert status["announcements"] == {"bell": "ding"}
        with pytest.raises(ConfigurationError, match="in use by process"):
            await make(data_dir=tmp_path).run()
        kernel.shutdown()
    assert read_status(tmp_path) is None


async def test_a_data_directory_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    """A full disk, say: here something else is in the way of the status."""
    kernel = make({"bell": plugin(kubrick_register_components)}, data_dir=tmp_path)
    (tmp_path / f"{STATUS}.new").mkdir()
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        assert kernel.readiness() == {"store": True, "bus": True, "compactor": True, "ringer": True}
        kernel.shutdown()


def test_a_seed_repeats_the_randomness_and_none_does_not() -> None:
    assert make(seed=7).uuid() == make(seed=7).uuid()
    assert make().uuid() != make().uuid()


def test_a_store_plugin_that_does_not_know_its_own_name_is_called_broken() -> None:
    composition = Composition(profile="bare", store="odd")
    manager = build_plugin_manager(composition, {"bare": plugin(kubrick_register_profiles), "store-odd": plugin()})
    with pytest.raises(ConfigurationError, match="plugin 'store-odd' doesn't provide a store called 'odd'"):
        Kernel(composition, plugins=manager)


def test_the_chosen_store_comes_from_its_plugin() -> None:
    class OddStore(MemoryStore):
        pass

    def kubrick_open_store(kernel: Kernel, name: str) -> Store | None:
        return OddStore(kernel.clock) if name == "odd" else None

    composition = Composition(profile="bare", store="odd")
    extra = {"bare": plugin(kubrick_register_profiles), "store-odd": plugin(kubrick_open_store)}
    assert isinstance(Kernel(composition, plugins=build_plugin_manager(composition, extra)).store, OddStore)
