"""The process that writes may be killed at any moment: nothing is lost, written twice, or left behind."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest
import trio

from kubrick_kernel.clock import SystemClock
from kubrick_kernel.store import Event, Put, StoreError
from kubrick_store_sqlite import child as child_module
from kubrick_store_sqlite import engine, pen
from kubrick_store_sqlite.child import LOCK, Child
from kubrick_store_sqlite.engine import FILE, SqliteStore

WRAPPED = """
import os, sys
sys.path += [sys.argv[1], {folder!r}]
import pen
mark = {mark!r}
append = pen.Pen.append
{change}
pen.main(*sys.argv[2:])
"""


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(directory, SystemClock())
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()


def pid_of(store: SqliteStore) -> int:
    assert store._writer is not None
    return store._writer.child.pid


def children() -> list[int]:
    """Of this process, those that have ended and were not waited for included."""
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def use_program(monkeypatch: pytest.MonkeyPatch, directory: Path, change: str) -> Path:
    """Have a changed program started; a file that it may use as a mark."""
    program, mark = directory / "program.py", directory / "mark"
    program.write_text(WRAPPED.format(folder=str(Path(pen.__file__).parent), mark=str(mark), change=change))
    monkeypatch.setattr(child_module, "PROGRAM", program)
    return mark


def rows(directory: Path) -> list[tuple[int, bytes]]:
    connection = apsw.Connection(str(directory / FILE))
    try:
        return list(connection.execute("SELECT id >> ?, key FROM log ORDER BY id", (pen.SHIFT,)))
    finally:
        connection.close()


async def history(store: SqliteStore, until: int) -> list[Event]:
    watch = await store.watch(b"", 0)
    events: list[Event] = []
    while not events or events[-1].revision < until:
        events += await watch.receive()
    return events


async def test_killed_under_load_it_is_replaced_and_no_commit_fails_or_is_doubled(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    acknowledged: dict[int, tuple[bytes, bytes]] = {}
    enough = trio.Event()
    kills = 0

    async def write(store: SqliteStore, n: int) -> None:
        key, revision = b"k%d" % n, 0
        for turn in range(60):
            value = b"%d" % turn + b"x" * 500
            revision = (await store.commit([Put(key, value, expect=revision)])).revision
            assert revision not in acknowledged
            acknowledged[revision] = key, value
            if len(acknowledged) % 500 == 0:
                enough.set()

    async with running(tmp_path) as store:
        watch = await store.watch(b"", 0)

        async def kill() -> None:
            nonlocal kills, enough
            while True:
                await enough.wait()
                await trio.sleep(0.0004 * kills)  # in the middle of whatever it does by then
                os.kill(pid_of(store), signal.SIGKILL)
                kills += 1
                enough = trio.Event()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            async with trio.open_nursery() as writers:
                for n in range(80):
                    writers.start_soon(write, store, n)
            nursery.cancel_scope.cancel()
        assert sorted(acknowledged) == list(range(1, 4801))
        seen: list[Event] = []
        while len(seen) < 4800:
            seen += await watch.receive()
    told = capfd.readouterr().err.count("writing goes on in another process")
    assert kills - 1 <= told <= kills
    assert kills >= 5
    async with running(tmp_path) as store:
        assert store.revision == 4800
        for events in (seen, await history(store, 4800)):
            assert [event.revision for event in events] == list(range(1, 4801))
            for event in events:
                assert event.item is not None
                assert (event.key, event.item.value) == acknowledged[event.revision]


async def test_what_it_wrote_before_it_died_is_published_and_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = """
def once(self, parameters):
    append(self, parameters)
    if not os.path.exists(mark):
        open(mark, "x").close()
        os._exit(7)
pen.Pen.append = once
"""
    mark = use_program(monkeypatch, tmp_path, change)
    async with running(tmp_path) as store:
        watch = await store.watch(b"", 0)
        committed = await store.commit([Put(b"a", b"1", expect=0), Put(b"b", b"1", expect=0)])
        assert mark.exists()
        assert committed.revision == store.revision == 1
        assert [(event.revision, event.key) for event in await watch.receive()] == [(1, b"a"), (1, b"b")]
        assert rows(tmp_path) == [(1, b"a"), (1, b"b")]
        assert (await store.commit([Put(b"a", b"2", expect=1)])).revision == 2


async def test_what_it_had_not_written_when_it_died_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = """
def once(self, parameters):
    if not os.path.exists(mark):
        open(mark, "x").close()
        os._exit(7)
    append(self, parameters)
pen.Pen.append = once
"""
    mark = use_program(monkeypatch, tmp_path, change)
    async with running(tmp_path) as store:
        assert (await store.commit([Put(b"a", b"1", expect=0)])).revision == 1
        assert mark.exists()
        assert rows(tmp_path) == [(1, b"a")]


async def test_many_that_die_after_writing_fail_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_program(monkeypatch, tmp_path, "pen.Pen.append = lambda *arguments: (append(*arguments), os._exit(7))")
    async with running(tmp_path) as store:
        for turn in range(8):
            assert (await store.commit([Put(b"k", b"%d" % turn, expect=turn)])).revision == turn + 1
    assert rows(tmp_path) == [(turn, b"k") for turn in range(1, 9)]


async def test_three_that_die_over_one_commit_fail_it_as_unknown_and_the_store_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = """
def never(self, parameters):
    os.write(os.open(mark, os.O_CREAT | os.O_WRONLY | os.O_APPEND), b"x")
    os._exit(7)
pen.Pen.append = never
"""
    mark = use_program(monkeypatch, tmp_path, change)
    store = SqliteStore(tmp_path, SystemClock())
    refusals: list[str] = []

    async def commit(n: int) -> None:
        await trio.sleep(0 if n < 3 else 0.001)
        try:
            await store.commit([Put(b"k%d" % n, b"")])
        except StoreError as error:
            refusals.append(str(error))

    async def run() -> None:
        async with trio.open_nursery() as commits, trio.open_nursery() as nursery:
            await nursery.start(store.run)
            for n in range(6):
                commits.start_soon(commit, n)

    with pytest.raises(ExceptionGroup) as failed:
        await run()
    assert failed.group_contains(StoreError, match="ended with status 7, 3 times in a row")
    assert mark.stat().st_size == 3
    unknown = [text for text in refusals if "not known whether committed: the process that writes to it ended" in text]
    assert len(refusals) == 6
    assert unknown
    assert all("not committed: the process" in text for text in refusals if text not in unknown)
    with pytest.raises(StoreError, match="closed"):
        await store.commit([])
    assert not children()
    monkeypatch.undo()
    async with running(tmp_path) as again:
        assert again.revision == 0
        await again.commit([Put(b"more", b"")])


async def test_an_interrupted_sweep_is_taken_up_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = """
def never(self):
    if not os.path.exists(mark):
        open(mark, "x").close()
        os._exit(7)
    sweep(self)
sweep, pen.Pen.sweep = pen.Pen.sweep, never
"""
    use_program(monkeypatch, tmp_path, change)
    async with running(tmp_path) as store:
        for turn in range(300):
            await store.commit([Put(b"k", b"%d" % turn)])
        await store.compact(300)
        with trio.fail_after(20):
            while len(rows(tmp_path)) > 1:
                await store.commit([])
    assert rows(tmp_path) == [(300, b"k")]


async def test_signals_of_a_terminal_or_a_service_manager_do_not_end_it(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        pid = pid_of(store)
        assert os.getsid(pid) != os.getsid(0)
        assert os.getpgid(pid) != os.getpgid(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
            await store.commit([Put(b"k", b"%d" % number)])
        assert pid_of(store) == pid


async def test_a_new_store_waits_until_the_process_of_a_killed_one_has_finished(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        await store.commit([Put(b"a", b"")])
    held = os.open(tmp_path / LOCK, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    ready = trio.Event()
    store = SqliteStore(tmp_path, SystemClock())

    async def start(nursery: trio.Nursery) -> None:
        await nursery.start(store.run)
        ready.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start, nursery)
        with trio.fail_after(20):
            while not any(str(tmp_path / LOCK) in opened(pid) for pid in children()):
                await trio.lowlevel.checkpoint()
        connection = pen.connect(str(tmp_path / FILE), "full")
        connection.execute(pen.insert(1), (2 << pen.SHIFT, b"b", 2, 0, None, b"last words"))
        connection.close()
        assert not ready.is_set()
        os.close(held)
        await ready.wait()
        assert store.revision == 2
        item = await store.get(b"b")
        assert item is not None
        assert item.value == b"last words"
        nursery.cancel_scope.cancel()


def opened(pid: int) -> set[str]:
    """The files a process has open."""
    try:
        return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except FileNotFoundError:  # it opens and closes some meanwhile
        return set()


async def test_one_that_never_finishes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_program(monkeypatch, tmp_path, "pen.PATIENCE = 0.05")
    held = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    os.write(held, b"4711")
    with pytest.raises(StoreError, match=r"store\.db: .*could not begin: process 4711 still writes to it"):
        await SqliteStore(tmp_path, SystemClock()).run()
    assert not children()
    os.close(held)


async def test_hung_up_on_it_ends_by_itself_and_frees_its_lock(tmp_path: Path) -> None:
    async with running(tmp_path):
        pass
    child = Child(tmp_path / FILE, "full")
    await child.start()
    await child.locked()
    await child.opened()
    assert (tmp_path / LOCK).read_text() == str(child.pid)
    child.ask("append", [1 << pen.SHIFT, b"k", 1, 0, None, b"v"])
    assert await child.end() == 0
    assert rows(tmp_path) == [(1, b"k")]
    with (tmp_path / LOCK).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_it_ends_when_the_main_process_is_killed(tmp_path: Path) -> None:
    script = f"""
import sys, trio
from pathlib import Path
from kubrick_kernel.clock import SystemClock
from kubrick_store_sqlite.engine import SqliteStore
async def main():
    store = SqliteStore(Path({str(tmp_path)!r}), SystemClock())
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        print(store._writer.child.pid, flush=True)
trio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as main:
        assert main.stdout is not None
        pid = int(main.stdout.readline())
        assert Path(f"/proc/{pid}/cmdline").read_text().split("\0")[3] == str(child_module.PROGRAM)
        main.kill()
    with trio.fail_after(20), (tmp_path / LOCK).open() as file:
        await trio.to_thread.run_sync(fcntl.flock, file, fcntl.LOCK_EX)


async def test_a_closed_store_leaves_one_file_its_locks_and_no_process(tmp_path: Path) -> None:
    async with running(tmp_path) as store:
        await store.commit([Put(b"k", b"")])
        assert children() == [pid_of(store)]
    assert not children()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lock", FILE, LOCK]


async def test_a_group_larger_than_the_socket_is_written_while_others_wait(tmp_path: Path) -> None:
    async def commit(store: SqliteStore, n: int) -> None:
        await store.commit([Put(b"k%d" % n, b"%d" % n * 3_000_000)])

    async with running(tmp_path) as store:
        async with trio.open_nursery() as nursery:
            for n in range(8):
                nursery.start_soon(commit, store, n)
            nursery.start_soon(store.compact, 0)
        assert store.revision == 8
    async with running(tmp_path) as store:
        items = (await store.range(b"")).items
    assert [item.value for item in items] == [b"%d" % n * 3_000_000 for n in range(8)]


async def test_the_write_ahead_log_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAL_PAGES", 100)
    wal = tmp_path / f"{FILE}-wal"
    async with running(tmp_path) as store:
        for turn in range(400):
            await store.commit([Put(b"k%d" % turn, b"x" * 20_000)])
            if turn == 200:
                os.kill(pid_of(store), signal.SIGKILL)
        # 2,400 pages and more have been written.
        assert wal.stat().st_size < 1200 * pen.FRAME


async def test_a_program_that_cannot_start_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "PROGRAM", tmp_path / "absent.py")
    with pytest.raises(StoreError, match=r"store\.db: .*could not begin: it ended with status 2: .*absent\.py"):
        await SqliteStore(tmp_path, SystemClock()).run()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(StoreError, match=r"could not begin: .*No such file.*no-python"):
        await SqliteStore(tmp_path, SystemClock()).run()
    assert not children()
