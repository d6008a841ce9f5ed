"""The SQLite store passes the conformance suite, and the kernel opens it by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from kubrick_kernel import Composition, ConfigurationError, Kernel, Profile, Put, build_plugin_manager, hookimpl
from kubrick_kernel.clock import Clock, SystemClock
from kubrick_kernel.testing.machine import store_machine
from kubrick_kernel.testing.store import Engine, store_checks
from kubrick_store_sqlite.child import Child
from kubrick_store_sqlite.engine import FILE, SqliteStore
from kubrick_store_sqlite.pen import COLUMNS


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


async def test_what_is_asked_for_at_once_is_written_as_one_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    ask = Child.ask

    def counted(child: Child, verb: str, argument: Any) -> None:
        if verb == "append":
            written.append(len(argument) // COLUMNS)
        ask(child, verb, argument)

    monkeypatch.setattr(Child, "ask", counted)
    revisions: list[int] = []

    async def commit(store: SqliteStore, number: int) -> None:
        revisions.append((await store.commit([Put(b"pods/%d" % number, b"x", expect=0)])).revision)

    async with trio.open_nursery() as nursery:
        store = SqliteStore(tmp_path, SystemClock())
        await nursery.start(store.run)
        async with trio.open_nursery() as writers:
            for number in range(40):
                writers.start_soon(commit, store, number)
        nursery.cancel_scope.cancel()
    assert sorted(revisions) == list(range(1, 41))
    assert sum(written) == 40
    assert len(written) <= 3


async def test_closing_the_store_sees_to_what_was_asked_for(tmp_path: Path) -> None:
    done: list[int] = []

    async def commit(number: int) -> None:
        done.append((await store.commit([Put(b"pods/%d" % number, b"x")])).revision)

    async with trio.open_nursery() as writers, trio.open_nursery() as nursery:
        store = SqliteStore(tmp_path, SystemClock())
        await nursery.start(store.run)
        for number in range(20):
            writers.start_soon(commit, number)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        store = SqliteStore(tmp_path, SystemClock())
        await nursery.start(store.run)
        assert len((await store.range(b"pods/")).items) == len(done) == 20
        nursery.cancel_scope.cancel()
