"""The work queue: client-go's rules, in virtual time."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from kubrick_client import ShutDown, WorkQueue


async def test_a_key_added_twice_is_handed_out_once() -> None:
    queue = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    assert queue.depth == 0
    assert queue.adds == 1


async def test_a_key_added_while_worked_on_comes_again_after_done_and_not_before() -> None:
    queue = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert queue.depth == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_higher_priorities_come_first_and_equals_in_order() -> None:
    queue = WorkQueue()
    for key, priority in (("low", 0), ("high", 5), ("next", 0), ("raised", 0)):
        queue.add(key, priority)
    queue.add("raised", 9)
    assert [await queue.get() for _ in range(4)] == ["raised", "high", "low", "next"]


async def test_a_delayed_key_waits_its_time_without_any_task(autojump_clock: MockClock) -> None:
    queue = WorkQueue()
    queue.add_after("late", 100)
    queue.add_after("early", 5)
    queue.add_after("early", 50)
    assert await queue.get() == "early"
    assert trio.current_time() == pytest.approx(5)
    assert await queue.get() == "late"
    assert trio.current_time() == pytest.approx(100)


async def test_a_waiting_worker_notices_a_sooner_delay(autojump_clock: MockClock) -> None:
    queue = WorkQueue()
    queue.add_after("late", 100)
    async with trio.open_nursery() as nursery:

        async def add() -> None:
            await trio.sleep(1)
            queue.add_after("soon", 1)

        nursery.start_soon(add)
        assert await queue.get() == "soon"
        assert trio.current_time() == pytest.approx(2)


async def test_backoff_doubles_from_5_ms_to_1000_s_and_is_forgotten(autojump_clock: MockClock) -> None:
    queue = WorkQueue()
    waits = []
    for _ in range(20):
        before = trio.current_time()
        queue.add_rate_limited("a")
        queue.done(await queue.get())
        waits.append(trio.current_time() - before)
    assert waits[:4] == pytest.approx([0.005, 0.01, 0.02, 0.04])
    assert waits[-1] == pytest.approx(1000)
    assert queue.failures("a") == 20
    queue.forget("a")
    before = trio.current_time()
    queue.add_rate_limited("a")
    await queue.get()
    assert trio.current_time() - before == pytest.approx(0.005)


async def test_shutting_down_drains_what_is_ready_and_ends_waiting_workers() -> None:
    queue = WorkQueue()
    ended = []

    async def work() -> None:
        try:
            while True:
                queue.done(await queue.get())
        except ShutDown:
            ended.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        queue.add("a")
        queue.shut_down()
        queue.add("b")
    assert ended == [True, True]
    assert queue.waited.count == 1


async def test_every_worker_is_woken_when_several_keys_come_due(autojump_clock: MockClock) -> None:
    queue = WorkQueue()
    seen = []

    async def work() -> None:
        seen.append(await queue.get())
        await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        for key in "abc":
            queue.add_after(key, 1)
        await trio.sleep(1.5)
        assert len(seen) == 3
    assert sorted(seen) == ["a", "b", "c"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.sampled_from(("add", "after", "limited")))))
def test_no_key_is_ever_worked_on_twice_at_once_and_none_is_lost(steps: list[tuple[str, int, str]]) -> None:
    async def run() -> None:
        queue = WorkQueue()
        busy: set[str] = set()
        last_add: dict[str, float] = {}
        last_start: dict[str, float] = {}

        async def work() -> None:
            try:
                while True:
                    key = await queue.get()
                    assert key not in busy
                    busy.add(key)
                    last_start[key] = trio.current_time()
                    await trio.sleep(0.5)
                    busy.discard(key)
                    queue.done(key)
            except ShutDown:
                return

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(work)
            for key, number, how in steps:
                await trio.sleep(number / 10)
                if how == "add":
                    queue.add(key, number)
                elif how == "after":
                    queue.add_after(key, number)
                else:
                    queue.add_rate_limited(key)
                last_add[key] = trio.current_time()
            await trio.sleep(10_000)
            assert queue.depth == 0
            for key, at in last_add.items():
                assert last_start[key] >= at
            queue.shut_down()

    trio.run(run, clock=MockClock(autojump_threshold=0))
