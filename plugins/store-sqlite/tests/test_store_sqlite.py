"""The SQLite store passes the conformance suite, and the kernel opens it by name."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from kubrick_kernel import Composition, ConfigurationError, Kernel, Profile, Put, build_plugin_manager, hookimpl
from kubrick_kernel.clock import Clock
from kubrick_kernel.testing.machine import store_machine
from kubrick_kernel.testing.store import Engine, store_checks
from kubrick_store_sqlite.engine import FILE, SqliteStore


def open_sqlite(directory: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(directory, clock)


def open_forgetful(directory: Path, clock: Clock) -> SqliteStore:
    """With next to no window, so that the past is read from the disk."""
    return SqliteStore(directory, clock, window=2)


SQLITE = Engine(open=open_sqlite, durable=True, snapshot=FILE)
FORGETFUL = Engine(open=open_forgetful, durable=True, snapshot=FILE)

test_the_sqlite_store_keeps_every_promise = store_checks(SQLITE)
test_a_store_that_reads_the_past_from_disk_keeps_every_promise = store_checks(FORGETFUL)
TestSqliteStore = store_machine(SQLITE, share=0.2)
TestForgetfulSqliteStore = store_machine(FORGETFUL, share=0.4)


class Bare:
    """A plugin whose profile is the kernel and nothing else."""

    @hookimpl
    def kubrick_register_profiles(self) -> Sequence[Profile]:
        return (Profile("bare", "nothing but the kernel", plugins=()),)


def kernel_with(settings: dict[str, str], data_dir: Path | None) -> Kernel:
    composition = Composition(store="sqlite", profile="bare", plugins={"store-sqlite": settings})
    return Kernel(composition, data_dir=data_dir, plugins=build_plugin_manager(composition, {"bare": Bare()}))


async def test_a_kernel_opens_the_store_in_its_data_directory_and_finds_it_again(tmp_path: Path) -> None:
    for turn in range(2):
        kernel = kernel_with({"synchronous": "normal"}, tmp_path)
        async with trio.open_nursery() as nursery:
            await nursery.start(kernel.run)
            assert len(kernel.bus.topic(b"turns/")) == turn
            await kernel.bus.commit([Put(b"turns/%d" % turn, b"", expect=0)])
            kernel.shutdown()
    assert (tmp_path / "store" / FILE).exists()


def test_a_store_without_a_data_directory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs a data directory"):
        kernel_with({}, None)


def test_a_misspelt_setting_says_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'full' or 'normal'"):
        kernel_with({"synchronous": "of"}, tmp_path)
