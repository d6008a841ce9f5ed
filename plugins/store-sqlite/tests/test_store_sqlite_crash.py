"""Killed while a thousand writes are under way, a store has everything it acknowledged.

Three rounds, twenty in ``make soak``.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from kubrick_kernel.clock import SystemClock
from kubrick_kernel.store import Event
from kubrick_store_sqlite.engine import SqliteStore

CHILD = """
import os, sys
from pathlib import Path
import trio
from kubrick_kernel.bus import Bus
from kubrick_kernel.clock import SystemClock
from kubrick_kernel.store import Delete, Put
from kubrick_store_sqlite.engine import SqliteStore

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def write(bus, n):
    key, turn = b"pods/a/%d" % n, 0
    while True:
        turn += 1
        value = b"%d:%d:" % (os.getpid(), turn) + b"x" * 300
        revision = (await bus.commit([Put(key, value), Put(b"pods/b/%d" % n, value)])).revision
        say("put", n, turn, revision)
        if turn % 3 == 0:
            say("delete", n, turn, (await bus.commit([Delete(key)])).revision)

async def watch(bus):
    subscription = await bus.topic(b"pods/").subscribe(bus.revision)
    while True:
        await subscription.receive()
        say("seen", subscription.revision)

async def compact(store):
    while True:
        await trio.sleep(0.02)
        await store.compact(max(store.revision - 2_000, 0))

async def main():
    store = SqliteStore(Path(sys.argv[1]), SystemClock())
    bus = Bus(store)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await nursery.start(bus.run)
        nursery.start_soon(watch, bus)
        nursery.start_soon(compact, store)
        for n in range(1000):
            nursery.start_soon(write, bus, n)

trio.run(main)
"""


def kill_while_writing(directory: Path, acknowledgements: int) -> tuple[int, list[list[bytes]]]:
    """Let a child write until it has acknowledged so much, kill it; its pid and all it said."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(directory)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child:
        said: list[list[bytes]] = []
        while len(said) < acknowledgements:
            line = child.stdout.readline()
            assert line, "the child died by itself"
            said.append(line.split())
        child.send_signal(signal.SIGKILL)
        said += [line.split() for line in child.stdout.readlines() if line.endswith(b"\n")]
    return child.pid, said


async def check(directory: Path, pid: int, said: list[list[bytes]]) -> None:
    """Every acknowledged write is in the history, and a watch resumed from what was last seen gets
    every revision since."""
    seen = max((int(words[1]) for words in said if words[0] == b"seen"), default=0)
    written: list[tuple[int, bytes, bytes | None]] = []
    for kind, *numbers in (words for words in said if words[0] != b"seen"):
        n, turn, revision = map(int, numbers)
        value = b"%d:%d:" % (pid, turn) if kind == b"put" else None
        written += [(revision, b"pods/a/%d" % n, value)] + [(revision, b"pods/b/%d" % n, value)] * (value is not None)
    store = SqliteStore(directory, SystemClock())
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        assert store.revision >= max(seen, *(revision for revision, _, _ in written))
        now = {item.key: item for item in (await store.range(b"")).items}
        watch = await store.watch(b"", seen)
        told: dict[int, list[Event]] = {}
        while len(told) < store.revision - seen:
            for event in await watch.receive():
                told.setdefault(event.revision, []).append(event)
        assert list(told) == list(range(seen + 1, store.revision + 1))
        for revision, key, value in written:
            if revision > seen:
                (event,) = (event for event in told[revision] if event.key == key)
                found = event.item
            elif revision >= store.compacted:
                found = await store.get(key, revision)
            else:
                continue
            assert (found is None) if value is None else (found is not None and found.value.startswith(value))
            assert key.startswith(b"pods/a/") or now[key].revision >= revision
        nursery.cancel_scope.cancel()


def test_no_acknowledged_write_is_lost_and_a_resumed_watch_misses_nothing(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    rounds = 20 if pytestconfig.getoption("--hypothesis-profile") == "soak" else 3
    for turn in range(rounds):
        pid, said = kill_while_writing(tmp_path, 100 + 997 * turn % 2500)
        trio.run(check, tmp_path, pid, said)
