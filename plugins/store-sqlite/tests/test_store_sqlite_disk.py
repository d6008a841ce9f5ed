"""What the user is told about a directory or file that won't do, and what the disk does under stress."""

import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest
import trio

from kubrick_kernel import ConfigurationError
from kubrick_kernel.clock import SystemClock
from kubrick_kernel.store import Delete, Put, StoreError
from kubrick_store_sqlite.engine import FILE, SqliteStore


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(directory, SystemClock())
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()


async def refusal(directory: Path) -> str:
    """What running a store on `directory` says."""
    with pytest.raises(ConfigurationError) as caught:
        await SqliteStore(directory, SystemClock()).run()
    message = str(caught.value)
    assert str(directory) in message
    assert "\n" not in message
    return message


async def written(directory: Path) -> Path:
    async with running(directory) as store:
        await store.commit([Put(b"k%d" % n, b"x" * 500) for n in range(200)])
    return directory / FILE


async def test_a_directory_in_use_names_the_process(tmp_path: Path) -> None:
    async with running(tmp_path):
        assert f"in use by process {os.getpid()}" in await refusal(tmp_path)
    async with running(tmp_path) as store:
        await store.commit([Put(b"k", b"")])


async def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write to it" in await refusal(tmp_path / "file" / "data")


async def test_a_file_that_is_no_database_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 1000)
    assert "is damaged" in await refusal(tmp_path)


async def test_a_damaged_page_is_found_and_a_snapshot_advised(tmp_path: Path) -> None:
    file = await written(tmp_path)
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xa5" * len(content[4096:])
    file.write_bytes(content)
    assert "put a snapshot in its place" in await refusal(tmp_path)


async def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / FILE))
    connection.execute("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
    connection.close()
    assert "not a Kubrick store" in await refusal(tmp_path)


async def test_a_newer_file_asks_for_an_upgrade(tmp_path: Path) -> None:
    file = await written(tmp_path)
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    message = await refusal(tmp_path)
    assert "format 99" in message
    assert "upgrade" in message


async def test_a_closed_store_refuses_and_nobody_hangs(tmp_path: Path) -> None:
    outcomes: list[bool] = []

    async def write(store: SqliteStore, n: int) -> None:
        for turn in range(50):
            try:
                await store.commit([Put(b"k%d-%d" % (n, turn), b"")])
                outcomes.append(True)
            except StoreError:
                outcomes.append(False)

    async with trio.open_nursery() as nursery, running(tmp_path) as store:
        for n in range(20):
            nursery.start_soon(write, store, n)
        while len(outcomes) < 100:
            await trio.lowlevel.checkpoint()
    assert len(outcomes) == 1000
    assert outcomes[0]
    assert not outcomes[-1]
    async with running(tmp_path) as store:
        assert len((await store.range(b"")).items) == outcomes.count(True)


def limit_files(pid: int, size: int) -> None:
    """Let a process write no file beyond `size`: to it, the disk is full."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


async def test_a_full_disk_fails_commits_whole_and_the_store_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        revision = (await store.commit([Put(b"before", b"")])).revision
        assert store._writer is not None
        pid = store._writer.child.pid
        limit_files(pid, (tmp_path / f"{FILE}-wal").stat().st_size + 20_000)
        watch = await store.watch(b"", revision)
        with pytest.raises(StoreError, match="not committed"):
            await store.commit([Put(b"small", b""), Put(b"large", b"x" * 100_000)])
        assert store.revision == revision
        assert [item.key for item in (await store.range(b"")).items] == [b"before"]
        limit_files(pid, resource.RLIM_INFINITY)
        after = await store.commit([Put(b"after", b"x" * 100_000)])
        assert [event.revision for event in await watch.receive()] == [after.revision]
        assert store._writer.child.pid == pid
    async with running(tmp_path) as store:
        assert [item.key for item in (await store.range(b"")).items] == [b"after", b"before"]


def swept(directory: Path) -> int:
    """How far the sweep has come."""
    connection = apsw.Connection(str(directory / FILE))
    try:
        return int(connection.execute("SELECT value FROM meta WHERE name = 'swept'").get)
    finally:
        connection.close()


async def test_compaction_removes_what_no_revision_needs(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        for n in range(500):
            await store.commit([Put(b"k%d" % (n % 20), b"x" * 100)])
        await store.commit([Delete(b"k%d" % n) for n in range(15)])
        await store.compact(store.revision)
        with trio.fail_after(20):
            while swept(tmp_path) < store.compacted:
                await store.commit([])
    connection = apsw.Connection(str(tmp_path / FILE))
    assert connection.execute("SELECT count(*) FROM log").get == 5
    assert connection.execute("SELECT count(*) FROM current").get == 5
    connection.close()


async def test_a_sweep_that_was_interrupted_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        for n in range(300):
            await store.commit([Put(b"k", b"%d" % n)])
        await store.compact(store.revision)
    async with running(tmp_path) as store:
        with trio.fail_after(20):
            while swept(tmp_path) < store.compacted:
                await store.commit([])
    connection = apsw.Connection(str(tmp_path / FILE))
    assert connection.execute("SELECT count(*) FROM log").get == 1
    connection.close()


async def test_a_slow_watch_falls_back_to_the_log_and_misses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        watch = await store.watch(b"", 0)
        for n in range(60):
            await store.commit([Put(b"k%d" % part, b"%d" % n) for part in range(100)])
        assert store._feed.window.start > 0
        seen: list[int] = []
        while len(seen) < 6000:
            seen += [event.revision for event in await watch.receive()]
        assert seen == [revision for revision in range(1, 61) for _ in range(100)]
        await store.commit([Put(b"k", b"")])
        assert [event.key for event in watch.receive_nowait()] == [b"k"]


async def test_a_commit_larger_than_a_page_of_history_is_read_whole(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        await store.commit([Put(b"a", b"")])
        await store.commit([Put(b"k%d" % n, b"") for n in range(3000)])
        await store.commit([Put(b"z", b"")])
        watch = await store.watch(b"", 0)
        sizes: dict[int, int] = {}
        while sum(sizes.values()) < 3002:
            for event in await watch.receive():
                sizes[event.revision] = sizes.get(event.revision, 0) + 1
        assert sizes == {1: 1, 2: 3000, 3: 1}
