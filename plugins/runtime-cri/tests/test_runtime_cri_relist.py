"""Looking at what there is again and again, and what is said when that doesn't work; in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from kubrick_kernel.clock import TrioClock
from kubrick_runtime_cri.channel import UNAVAILABLE, RPCError
from kubrick_runtime_cri.config import POD_UID
from kubrick_runtime_cri.messages import CRI
from kubrick_runtime_cri.relist import Relist
from kubrick_runtime_cri.runtime import CRIRuntime, Place
from kubrick_runtime_cri.states import aggregate

LAST_SEEN = "PLEG is not healthy: pleg was last seen active {} ago; threshold is 3m0s"


class Runtime:
    """Answers as a runtime does; methods named in `broken` fail, those in `stuck` never answer."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.stuck: set[str] = set()
        self.sandboxes: list[Any] = []

    async def __call__(self, name: str, timeout: float = 120.0, **fields: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if name in self.broken:
            raise RPCError(UNAVAILABLE, "gone")
        if name in self.stuck:
            await trio.sleep(timeout)
            raise RPCError(UNAVAILABLE, "too slow")
        if name == "Status":
            return CRI.message("StatusResponse")()
        return SimpleNamespace(items=self.sandboxes, containers=[])

    @asynccontextmanager
    async def stream(self, method: str, messages: Any) -> AsyncIterator[None]:
        await trio.lowlevel.checkpoint()
        if method:
            raise RPCError(UNAVAILABLE, "no events")
        yield


@asynccontextmanager
async def looking(calls: Runtime, directory: Path) -> AsyncIterator[tuple[CRIRuntime, list[str]]]:
    """A runtime that lists through `calls`, and which pods it says have changed."""
    changed: list[str] = []
    made: Any = CRIRuntime(Place(str(directory / "none.sock"), directory), TrioClock())
    made._cri = calls
    made._relist = Relist(calls, changed.append)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made._relist.run)
        await trio.testing.wait_all_tasks_blocked()
        yield made, changed
        nursery.cancel_scope.cancel()


async def test_a_runtime_that_lists_nothing_for_three_minutes_makes_the_node_unready(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    calls = Runtime()
    async with looking(calls, tmp_path) as (runtime, _):
        await trio.sleep(600.5)
        assert (await runtime.health()).ready
        calls.broken.add("ListContainers")
        await trio.sleep(179)
        assert (await runtime.health()).ready
        await trio.sleep(2)
        health = await runtime.health()
        assert not health.ready
        assert health.message == LAST_SEEN.format("3m1.5s")
        calls.broken.clear()
        await trio.sleep(2)
        assert (await runtime.health()).ready


async def test_a_runtime_that_does_not_answer_is_told_of_before_its_call_ends(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    calls = Runtime()
    async with looking(calls, tmp_path) as (runtime, _):
        calls.stuck.add("ListPodSandbox")
        await trio.sleep(200.5)
        assert (await runtime.health()).message == LAST_SEEN.format("3m20.5s")


async def test_a_runtime_that_is_down_says_both(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    calls = Runtime()
    async with looking(calls, tmp_path) as (runtime, _):
        calls.broken |= {"Status", "ListPodSandbox"}
        assert (await runtime.health()).message == "container runtime is down"
        await trio.sleep(3700)
        message = LAST_SEEN.format("1h1m40s")
        assert (await runtime.health()).message == f"[container runtime is down, {message}]"


async def test_only_pods_that_changed_are_told_of(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    calls = Runtime()
    calls.sandboxes = [SimpleNamespace(id=uid, labels={POD_UID: uid}, state=0) for uid in ("one", "two")]
    async with looking(calls, tmp_path) as (_, changed):
        await trio.sleep(5)
        assert changed == []
        calls.sandboxes[1].state = 1
        await trio.sleep(5)
        assert changed == ["two"]


@pytest.mark.parametrize(
    ("problems", "text"), [([], ""), (["", "a"], "a"), (["a", "", "b"], "[a, b]"), (["a", "a"], "a")]
)
def test_several_problems_are_one_message(problems: list[str], text: str) -> None:
    assert aggregate(problems) == text
