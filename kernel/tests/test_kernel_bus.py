"""The watch bus, on the memory store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from kubrick_kernel.bus import Bus, Compactor, Lagged, Subscription
from kubrick_kernel.memory import MemoryStore
from kubrick_kernel.store import Compacted, Conflict, Delete, Event, FutureRevision, Put


@asynccontextmanager
async def running(window: int = 100) -> AsyncIterator[Bus]:
    async with trio.open_nursery() as nursery:
        store = MemoryStore()
        bus = Bus(store, window=window)
        await nursery.start(store.run)
        await nursery.start(bus.run)
        yield bus
        nursery.cancel_scope.cancel()


async def fill(bus: Bus, count: int, name: bytes = b"pods/a/x") -> None:
    for n in range(count):
        await bus.commit([Put(b"%b%d" % (name, n % 5), b"%d" % n)])


async def collect(subscription: Subscription, count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        events += await subscription.receive()
    return events


async def test_state_and_subscribers_have_seen_a_commit_when_it_returns() -> None:
    async with running() as bus:
        pods = bus.topic(b"pods/")
        subscription = await pods.subscribe(0)
        committed = await bus.commit([Put(b"pods/a/x", b"1"), Put(b"nodes/n", b"2")])
        assert pods.get(b"pods/a/x") is committed.items[0]
        assert len(pods) == 1
        assert pods.revision == bus.revision == subscription.revision + 1 == committed.revision
        assert subscription.receive_nowait() == [committed.events[0]]
        await bus.commit([Delete(b"pods/a/x")])
        assert pods.get(b"pods/a/x") is None
        with pytest.raises(Conflict):
            await bus.commit([Put(b"nodes/n", b"", expect=0)])


async def test_a_range_is_in_order_and_pages() -> None:
    async with running() as bus:
        for key in (b"pods/b/1", b"pods/a/2", b"pods/a/1", b"pods/aa/1", b"podsets/a/1"):
            await bus.commit([Put(key, b"")])
        pods = bus.topic(b"pods/")
        assert [item.key for item in pods.range().items] == [b"pods/a/1", b"pods/a/2", b"pods/aa/1", b"pods/b/1"]
        page = pods.range(b"pods/a/", limit=1)
        assert ([item.key for item in page.items], page.more, page.remaining) == ([b"pods/a/1"], True, 1)
        assert page.revision == bus.revision
        assert [item.key for item in pods.range(b"pods/a/", start=b"pods/a/1\x00").items] == [b"pods/a/2"]


async def test_everybody_gets_the_same_events() -> None:
    async with running() as bus:
        subscriptions = [await bus.topic(b"pods/").subscribe(0, b"pods/a/") for _ in range(3)]
        async with trio.open_nursery() as nursery:
            received: list[list[Event]] = []

            async def read(subscription: Subscription) -> None:
                received.append(await subscription.receive())

            for subscription in subscriptions:
                nursery.start_soon(read, subscription)
            await trio.testing.wait_all_tasks_blocked()
            await bus.commit([Put(b"pods/b/1", b"")])
            await bus.commit([Put(b"pods/a/1", b"")])
        first = received[0][0]
        assert all(len(events) == 1 and events[0] is first for events in received)


async def test_changes_from_elsewhere_and_expiry_reach_the_bus(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as bus:
        subscription = await bus.topic(b"events/").subscribe(0)
        await bus.store.commit([Put(b"events/a/1", b"", ttl=60)])
        (put,) = await subscription.receive()
        assert put.item is bus.topic(b"events/").get(b"events/a/1")
        (deleted,) = await subscription.receive()
        assert deleted.item is None
        assert trio.current_time() == pytest.approx(60, abs=0.1)
        assert len(bus.topic(b"events/")) == 0


async def test_a_topic_loads_what_was_there_before_the_bus() -> None:
    store = MemoryStore()
    await store.commit([Put(b"pods/a/1", b""), Put(b"stray", b"")])
    async with trio.open_nursery() as nursery:
        bus = Bus(store)
        early = bus.topic(b"pods/")
        await nursery.start(bus.run)
        assert [item.key for item in early.range().items] == [b"pods/a/1"]
        assert len(bus.topic(b"nodes/")) == 0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", [b"", b"pods", b"pods/a/"])
async def test_a_topic_ends_in_its_only_slash(name: bytes) -> None:
    with pytest.raises(ValueError, match="its only slash"):
        Bus(MemoryStore()).topic(name)


async def test_a_slow_subscriber_is_dropped_not_waited_for() -> None:
    async with running(window=1000) as bus:
        pods = bus.topic(b"pods/")
        slow = await pods.subscribe(0, capacity=3)
        quick = await pods.subscribe(0, capacity=3)
        for _ in range(4):
            await fill(bus, 1)
            assert len(quick.receive_nowait()) == 1
        with pytest.raises(Lagged):
            slow.receive_nowait()
        with pytest.raises(Lagged):
            await slow.receive()


async def test_a_subscriber_whom_the_window_leaves_behind_is_dropped() -> None:
    async with running(window=10) as bus:
        slow = await bus.topic(b"pods/").subscribe(0)
        await fill(bus, 50)
        with pytest.raises(Lagged):
            await slow.receive()


async def test_one_who_waits_for_a_quiet_prefix_is_not_slow() -> None:
    async with running(window=10) as bus:
        quiet = await bus.topic(b"pods/").subscribe(0, b"pods/quiet/", capacity=2)
        async with trio.open_nursery() as nursery:
            received: list[Event] = []

            async def read() -> None:
                received.extend(await quiet.receive())

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            await fill(bus, 50)
            assert quiet.revision == bus.revision
            await bus.commit([Put(b"pods/quiet/1", b"")])
        assert [event.key for event in received] == [b"pods/quiet/1"]


async def test_a_wait_that_is_given_up_leaves_a_bookmark_and_loses_nothing() -> None:
    async with running() as bus:
        subscription = await bus.topic(b"pods/").subscribe(0, b"pods/quiet/")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(subscription.receive)
                await trio.testing.wait_all_tasks_blocked()
                await fill(bus, 3)
                scope.cancel()
        assert subscription.revision == 3
        await bus.commit([Put(b"pods/quiet/1", b"")])
        assert subscription.revision == 3
        assert len(await subscription.receive()) == 1
        assert subscription.revision == 4


async def test_history_from_before_the_window_meets_it_without_gap_or_duplicate() -> None:
    async with running(window=8) as bus:
        await fill(bus, 100)
        pods = bus.topic(b"pods/")
        old = await pods.subscribe(10)
        part = await pods.subscribe(10, b"pods/a/x3")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill, bus, 100)
            events = await collect(old, 190)
        assert [event.revision for event in events] == list(range(11, 201))
        expected = [event.revision for event in events if event.key == b"pods/a/x3"]
        assert [event.revision for event in await collect(part, len(expected))] == expected
        await fill(bus, 1)
        (last,) = await old.receive()
        (again,) = (await pods.subscribe(200)).receive_nowait()
        assert last is again, "it goes on with the window, not with history"
        assert old.revision == 201


async def test_what_the_store_has_forgotten_and_what_is_yet_to_come_is_refused() -> None:
    async with running(window=8) as bus:
        await fill(bus, 100)
        await bus.store.compact(50)
        pods = bus.topic(b"pods/")
        with pytest.raises(Compacted):
            await pods.subscribe(49)
        assert len(await collect(await pods.subscribe(50), 50)) == 50
        with pytest.raises(FutureRevision):
            await pods.subscribe(101)


async def test_a_closed_subscription_says_so() -> None:
    async with running(window=8) as bus:
        await fill(bus, 100)
        for after in (0, 100):
            subscription = await bus.topic(b"pods/").subscribe(after)
            subscription.close()
            subscription.close()
            with pytest.raises(trio.ClosedResourceError):
                await subscription.receive()


async def test_a_bus_that_is_run_again_loads_again_and_tells_its_subscribers() -> None:
    store = MemoryStore()
    bus = Bus(store)
    pods = bus.topic(b"pods/")
    async with trio.open_nursery() as nursery:
        await nursery.start(bus.run)
        subscription = await pods.subscribe(0)
        nursery.cancel_scope.cancel()
    await store.commit([Put(b"pods/a/1", b"")])
    async with trio.open_nursery() as nursery:
        await nursery.start(bus.run)
        assert len(pods) == 1
        with pytest.raises(Lagged):
            await subscription.receive()
        nursery.cancel_scope.cancel()


async def test_the_compactor_keeps_one_interval_of_history(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as bus, trio.open_nursery() as nursery:
        await nursery.start(Compactor(bus, interval=300).run)
        await fill(bus, 3)
        await trio.sleep(301)
        await fill(bus, 4)
        assert bus.store.compacted == 0
        await trio.sleep(300)
        assert bus.store.compacted == 3
        await trio.sleep(300)
        assert bus.store.compacted == 7
        nursery.cancel_scope.cancel()


async def test_a_follower_sees_what_comes_from_now_on() -> None:
    async with running() as bus:
        await fill(bus, 3)
        follower = bus.topic(b"pods/").follow(b"pods/a/")
        assert follower.at_end
        await bus.commit([Put(b"pods/b/x", b"")])
        await bus.commit([Put(b"pods/a/y", b"")])
        assert not follower.at_end
        assert [event.key for event in follower.receive_nowait()] == [b"pods/a/y"]
        assert follower.at_end


async def test_a_reader_that_was_told_elsewhere_goes_on_after_that() -> None:
    async with running(window=4) as bus:
        reader = bus.topic(b"pods/").follow()
        await fill(bus, 3)
        reader.skip(bus.revision - 1)
        assert [event.revision for event in reader.receive_nowait()] == [bus.revision]
        told = bus.revision
        await fill(bus, 20)
        reader.skip(told)
        with pytest.raises(Lagged):
            reader.receive_nowait()
