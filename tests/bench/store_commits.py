"""Commits per second of the storage engines, alone and through the bus, and how long a writer stalls.

    .venv/bin/python tests/bench/store_commits.py [--seconds S] [--tasks N]

Each of N tasks (64) puts a pod-sized value (1.2 kB) under a guard, over and over, for S seconds (3),
first alone, then while history is compacted all the time. "gc ms" is the longest pause of Python's
garbage collector meanwhile, which is part of the worst latency; "step ms" the longest step of the
sweep, which is what compaction keeps the process that writes from its work. Memory is what an item
costs on top of its value, in store and bus together.
"""

import argparse
import gc
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from kubrick_kernel.bus import Bus
from kubrick_kernel.clock import SystemClock
from kubrick_kernel.memory import MemoryStore
from kubrick_kernel.store import Committed, Op, Put, Store
from kubrick_store_sqlite import child, pen
from kubrick_store_sqlite.engine import SqliteStore

VALUE = b'{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":""' + b" " * 1130 + b"}}"
STAMP = VALUE.index(b'""') + 1
KEYS = 200
ITEMS = 20_000

Commit = Callable[[Sequence[Op]], Awaitable[Committed]]


@asynccontextmanager
async def opened(engine: str, directory: Path) -> AsyncIterator[tuple[Store, Bus]]:
    """A store and a bus, running."""
    store: Store
    store = MemoryStore(SystemClock()) if engine == "memory" else SqliteStore(directory / engine, SystemClock())
    bus = Bus(store)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        async with trio.open_nursery() as inner:
            await inner.start(bus.run)
            yield store, bus
            inner.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def load(commit: Commit, tasks: int, seconds: float) -> list[float]:
    """Latencies, in seconds, of all commits that `tasks` tasks could do."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def work(task: int) -> None:
        revisions: dict[bytes, int] = {}
        turn = 0
        while True:
            begin = time.perf_counter()
            if begin > end:
                return
            turn += 1
            key = b"pods/default/pod-%d-%d" % (task, turn % KEYS)
            put = Put(key, VALUE, expect=revisions.get(key, 0), stamp=STAMP)
            revisions[key] = (await commit([put])).revision
            latencies.append(time.perf_counter() - begin)

    async with trio.open_nursery() as nursery:
        for task in range(tasks):
            nursery.start_soon(work, task)
    return latencies


async def compact_for_ever(store: Store) -> None:
    while True:
        await trio.sleep(0.05)
        await store.compact(max(store.revision - 100, 0))


class Pauses:
    """The longest collection since `reset`."""

    def __init__(self) -> None:
        self._begin = self.longest = 0.0
        gc.callbacks.append(self._note)

    def reset(self) -> None:
        gc.collect()
        self.longest = 0.0

    def _note(self, phase: str, _: object) -> None:
        if phase == "start":
            self._begin = time.perf_counter()
        else:
            self.longest = max(self.longest, time.perf_counter() - self._begin)


class TimedSweep:
    """The longest step of the sweep: wraps `Pen.sweep`, the only place where one is done, in the program
    of the process that writes. That leaves the figure in a file each time it is exceeded."""

    PROGRAM = """
import os, sys, time
sys.path += [sys.argv[1], {folder!r}]
import pen
step, longest = pen.Pen.sweep, 0.0
file = os.open({figure!r}, os.O_WRONLY)

def timed(self):
    global longest
    begin = time.perf_counter()
    step(self)
    if longest < time.perf_counter() - begin:
        longest = time.perf_counter() - begin
        os.pwrite(file, b"%.9f" % longest, 0)

pen.Pen.sweep = timed
pen.main(*sys.argv[2:])
"""

    def __init__(self, directory: Path) -> None:
        self._figure = directory / "longest"
        self.reset()
        program = directory / "program.py"
        folder = str(Path(pen.__file__).parent)
        program.write_text(self.PROGRAM.format(folder=folder, figure=str(self._figure)))
        child.PROGRAM = program

    @property
    def longest(self) -> float:
        return float(self._figure.read_text())

    def reset(self) -> None:
        """Each store has a process of its own, which begins at zero too."""
        self._figure.write_text("0")


def row(name: str, latencies: list[float], seconds: float, *rest: float) -> str:
    latencies.sort()
    numbers = [latencies[int(len(latencies) * part)] for part in (0.5, 0.99, 0.999999)]
    columns = "".join(f" {1000 * number:9.2f}" for number in (*numbers, *rest))
    return f"{name:36} {len(latencies) / seconds:10,.0f}{columns}"


def allocated() -> int:
    """Bytes that Python has allocated."""
    return tracemalloc.get_traced_memory()[0]


async def fill(bus: Bus) -> float:
    """Bytes of memory per item beyond its value."""
    tracemalloc.start()
    before = allocated()
    for begin in range(0, ITEMS, 100):
        await bus.commit([Put(b"configmaps/default/item-%d" % n, b"%0500d" % n) for n in range(begin, begin + 100)])
    await bus.store.compact(bus.revision)
    gc.collect()
    overhead = (allocated() - before) / ITEMS - 500
    tracemalloc.stop()
    return overhead


async def bench(tasks: int, seconds: float, directory: Path) -> None:
    pauses, sweep = Pauses(), TimedSweep(directory)
    print(
        f"{'':36} {'commits/s':>10}", *(f"{name:>9}" for name in ("p50 ms", "p99 ms", "worst ms", "gc ms", "step ms"))
    )

    async def measure(name: str, commit: Commit, tasks: int, seconds: float) -> None:
        pauses.reset()
        sweep.reset()
        latencies = await load(commit, tasks, seconds)
        print(row(name, latencies, seconds, pauses.longest, sweep.longest))

    for engine in ("memory", "sqlite"):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            async with opened(engine, directory / "full") as (_, bus):
                overhead = await fill(bus)
            async with opened(engine, directory / "store") as (store, _):
                await measure(f"{engine}: store, {tasks} tasks", store.commit, tasks, seconds)
            async with opened(engine, directory / "bus") as (_, bus):
                await measure(f"{engine}: bus, {tasks} tasks", bus.commit, tasks, seconds)
            async with opened(engine, directory / "compacting") as (store, bus), trio.open_nursery() as nursery:
                nursery.start_soon(compact_for_ever, store)
                await measure(f"{engine}: bus, {tasks} tasks, compacting", bus.commit, tasks, seconds)
                nursery.cancel_scope.cancel()
            async with opened(engine, directory / "one") as (_, bus):
                await measure(f"{engine}: bus, 1 task", bus.commit, 1, seconds)
        print(f"{engine}: {overhead:.0f} bytes of memory per item on top of its value")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--tasks", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        trio.run(bench, arguments.tasks, arguments.seconds, Path(directory))


if __name__ == "__main__":
    main()
