"""Where a check of the storage suite plays: an engine, opened on a directory, closed and reopened.

A check is an async function of one `Stage`. It runs under trio's own clock, or, if it is about
expiry, under one that moves only when the check says so: a clock that jumps by itself whenever all
tasks wait would run away while an engine's thread works.
"""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import trio
import trio.testing
from attrs import define, frozen

from kubrick_kernel.clock import Clock, TrioClock
from kubrick_kernel.store import Event, Store, Watch

T = TypeVar("T")
LIMIT = 60.0
"""Seconds a check may take."""


@frozen
class Engine:
    """An engine as the suite sees it.

    `open(directory, clock)` makes a store that has not been run yet. An engine is `durable` if what
    was committed is there when it is opened on the same directory again. `snapshot` is the name
    under which it finds a snapshot in its directory.
    """

    open: Callable[[Path, Clock], Store]
    durable: bool
    snapshot: str


class Stage:
    """One engine at work. `store` is running."""

    def __init__(self, engine: Engine, directory: Path, clock: Clock, nursery: trio.Nursery) -> None:
        self.engine = engine
        self.directory = directory
        self.clock = clock
        self._nursery = nursery
        self._running: dict[Store, tuple[trio.CancelScope, trio.Event]] = {}

    store: Store

    async def open(self, name: str) -> Store:
        """Run an engine on the directory called `name`."""
        directory = self.directory / name
        await trio.Path(directory).mkdir(exist_ok=True)
        store = self.engine.open(directory, self.clock)
        scope, closed = trio.CancelScope(), trio.Event()

        async def run(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await store.run(task_status)
            closed.set()

        await self._nursery.start(run)
        self._running[store] = scope, closed
        return store

    async def close(self, store: Store) -> None:
        """Stop an engine and wait until it is closed."""
        scope, closed = self._running.pop(store)
        scope.cancel()
        await closed.wait()

    def jump(self, seconds: float) -> None:
        """Let virtual time pass."""
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock), "the check did not ask for virtual time"
        clock.jump(seconds)

    async def reopen(self) -> None:
        """Close `store` and make it a new one on the same directory."""
        await self.close(self.store)
        self.store = await self.open("data")

    async def restore(self, snapshot: Path) -> Store:
        """An engine that begins with `snapshot`."""
        directory = self.directory / "restored"
        await trio.Path(directory).mkdir()
        await trio.Path(snapshot).rename(directory / self.engine.snapshot)
        return await self.open("restored")


Check = Callable[[Stage], Awaitable[None]]


@define
class Checks:
    """A list of checks that fills itself by decoration, and what each needs."""

    everywhere: list[Check]
    durable: list[Check]
    virtual: set[Check]

    def check(self, *, durable: bool = False, virtual: bool = False) -> Callable[[Check], Check]:
        """Add a function: `durable` if only durable engines can pass it, `virtual` if it wants
        virtual time."""

        def add(function: Check) -> Check:
            (self.durable if durable else self.everywhere).append(function)
            if virtual:
                self.virtual.add(function)
            return function

        return add


CHECKS = Checks([], [], set())
check = CHECKS.check


@asynccontextmanager
async def staged(engine: Engine, directory: Path) -> AsyncIterator[Stage]:
    """A stage with its store running on a new directory."""
    async with trio.open_nursery() as nursery:
        stage = Stage(engine, directory, TrioClock(), nursery)
        stage.store = await stage.open("data")
        yield stage
        for store in list(stage._running):
            await stage.close(store)


async def within(seconds: float, function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """What `function` returns or raises, in no more than so many seconds of real time."""
    done = threading.Event()
    result: T | None = None
    error: Exception | None = None

    async def guard(scope: trio.CancelScope) -> None:
        if not await trio.to_thread.run_sync(done.wait, seconds):
            scope.cancel()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(guard, scope)
            try:
                result = await function(*args)
            except Exception as raised:
                error = raised  # the nursery would wrap it
        done.set()
    if error is not None:
        raise error
    assert not scope.cancelled_caught, f"{function} took longer than {seconds} s"
    return cast(T, result)


def run_check(function: Check, engine: Engine, directory: Path) -> None:
    """Run one check on an engine; `directory` must be empty."""

    async def main() -> None:
        async with staged(engine, directory) as stage:
            await within(LIMIT, function, stage)

    trio.run(main, clock=trio.testing.MockClock() if function in CHECKS.virtual else None)


async def collect(watch: Watch, count: int) -> list[Event]:
    """Receive until there are `count` events."""
    events: list[Event] = []
    while len(events) < count:
        events += await watch.receive()
    return events
