"""Checks of the storage suite: what a watch promises."""

import trio
import trio.testing

from kubrick_kernel.store import Compacted, Delete, Event, Item, Put, Watch
from kubrick_kernel.testing.stage import Stage, check, collect


def brief(events: list[Event]) -> list[tuple[bytes, bytes | None, bytes | None]]:
    """Key, value, previous value."""

    def value(item: Item | None) -> bytes | None:
        return item.value if item else None

    return [(event.key, value(event.item), value(event.previous)) for event in events]


@check()
async def a_watch_tells_of_creation_change_and_deletion_with_the_previous_value(stage: Stage) -> None:
    watch = await stage.store.watch(b"", 0)
    revisions = [(await stage.store.commit([op])).revision for op in (Put(b"k", b"1"), Put(b"k", b"2"), Delete(b"k"))]
    events = await collect(watch, 3)
    assert brief(events) == [(b"k", b"1", None), (b"k", b"2", b"1"), (b"k", None, b"2")]
    assert [event.revision for event in events] == revisions
    assert [event.item and event.item.revision for event in events] == [*revisions[:2], None]


@check()
async def a_watch_begins_after_its_revision(stage: Stage) -> None:
    first = (await stage.store.commit([Put(b"k", b"1")])).revision
    await stage.store.commit([Put(b"k", b"2")])
    watch = await stage.store.watch(b"", first)
    assert brief(await collect(watch, 1)) == [(b"k", b"2", b"1")]


@check()
async def a_watch_sees_its_prefix_and_nothing_else(stage: Stage) -> None:
    watch = await stage.store.watch(b"pods/a/", 0)
    for key in (b"pods/a", b"pods/a/1", b"pods/aa/1", b"pods/b/1", b"pods/a/2", b"z"):
        await stage.store.commit([Put(key, b"")])
    await stage.store.commit([Put(b"pods/a/3", b""), Put(b"pods/b/3", b"")])
    assert [event.key for event in await collect(watch, 3)] == [b"pods/a/1", b"pods/a/2", b"pods/a/3"]
    assert watch.receive_nowait() == []


@check()
async def all_events_of_a_commit_arrive_together(stage: Stage) -> None:
    watch = await stage.store.watch(b"", 0)
    counts: dict[int, int] = {}

    async def read() -> None:
        while sum(counts.values()) < 200:
            events = await watch.receive()
            for revision in {event.revision for event in events}:
                assert revision not in counts, "a commit was split"
                counts[revision] = sum(event.revision == revision for event in events)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for n in range(40):
            await stage.store.commit([Put(b"%d/%d" % (n, part), b"") for part in range(5)])
    assert set(counts.values()) == {5}


@check()
async def history_meets_the_present_without_gap_or_duplicate(stage: Stage) -> None:
    async def write(writer: int) -> None:
        for n in range(250):
            key = b"%d/%d" % (writer, n % 7)
            await stage.store.commit([Delete(key) if n % 11 == 10 else Put(key, b"%d" % n)])

    async with trio.open_nursery() as nursery:
        for writer in range(8):
            nursery.start_soon(write, writer)
    middle = stage.store.revision
    watch = await stage.store.watch(b"", 0)
    part = await stage.store.watch(b"3/", 0)
    async with trio.open_nursery() as nursery:
        for writer in range(8):
            nursery.start_soon(write, writer)
        events = await collect(watch, middle)
    last = stage.store.revision
    state: dict[bytes, tuple[bytes, int]] = {}
    while watch.revision < last:
        events += await watch.receive()
    assert [event.revision for event in events] == list(range(1, last + 1))
    for event in events:
        known = state.pop(event.key, None)
        assert known == (event.previous and (event.previous.value, event.previous.revision))
        if event.item is not None:
            state[event.key] = event.item.value, event.item.revision
    found = await stage.store.range(b"")
    assert {item.key: (item.value, item.revision) for item in found.items} == state
    expected = [event.revision for event in events if event.key.startswith(b"3/")]
    assert [event.revision for event in await collect(part, len(expected))] == expected


@check()
async def a_watch_can_be_resumed_from_its_bookmark(stage: Stage) -> None:
    seen: list[int] = []
    bookmark = 0

    async def write() -> None:
        for n in range(300):
            await stage.store.commit([Put(b"k%d" % (n % 3), b"")])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        while len(seen) < 300:
            watch = await stage.store.watch(b"", bookmark)
            seen += [event.revision for event in await watch.receive()]
            bookmark = watch.revision
            watch.close()
    assert seen == sorted(set(seen))
    assert len(seen) == 300


@check()
async def a_bookmark_never_goes_back_and_moves_on_without_events_of_the_prefix(stage: Stage) -> None:
    watch = await stage.store.watch(b"quiet/", 0)
    marks = [watch.revision]
    for n in range(20):
        await stage.store.commit([Put(b"quiet/%d" % n if n % 10 == 0 else b"loud", b"")])
        events = watch.receive_nowait()
        marks.append(watch.revision)
        assert all(marks[-2] < event.revision <= marks[-1] for event in events)
    assert marks == sorted(marks)
    while watch.revision < stage.store.revision:
        with trio.move_on_after(0.01):
            await watch.receive()


@check()
async def a_reader_that_does_not_read_holds_nobody_up(stage: Stage) -> None:
    idle = [await stage.store.watch(b"", 0) for _ in range(50)]
    reader = await stage.store.watch(b"", 0)
    for n in range(100):
        await stage.store.commit([Put(b"k", b"%d" % n)])
    assert len(await collect(reader, 100)) == 100
    for watch in idle:
        watch.close()


@check()
async def every_watch_gets_every_event(stage: Stage) -> None:
    async def read(watch: Watch) -> None:
        events = await collect(watch, 100)
        assert [event.revision for event in events] == list(range(1, 101))
        done.append(watch)

    done: list[Watch] = []
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(read, await stage.store.watch(b"", 0))
        for n in range(100):
            await stage.store.commit([Put(b"k", b"%d" % n)])
    assert len(done) == 20


@check()
async def a_cancelled_receive_loses_nothing(stage: Stage) -> None:
    watch = await stage.store.watch(b"", 0)
    seen: list[int] = []

    async def write() -> None:
        for n in range(100):
            await stage.store.commit([Put(b"k", b"%d" % n)])
            await trio.sleep(0.0002)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        while len(seen) < 100:
            with trio.move_on_after(0.0003):
                seen += [event.revision for event in await watch.receive()]
    assert seen == list(range(1, 101))


@check()
async def a_watch_lives_through_the_compaction_of_what_it_has_read(stage: Stage) -> None:
    watch = await stage.store.watch(b"k", 0)
    for n in range(10):
        await stage.store.commit([Put(b"k", b"%d" % n)])
    await collect(watch, 10)
    await stage.store.compact(stage.store.revision)
    await stage.store.commit([Put(b"k", b"after")])
    assert brief(await collect(watch, 1)) == [(b"k", b"after", b"9")]


@check()
async def a_watch_from_the_compacted_revision_misses_nothing(stage: Stage) -> None:
    for n in range(10):
        await stage.store.commit([Put(b"k%d" % (n % 3), b"%d" % n)])
    await stage.store.compact(5)
    watch = await stage.store.watch(b"", 5)
    events = await collect(watch, stage.store.revision - 5)
    assert brief(events)[:3] == [(b"k2", b"5", b"2"), (b"k0", b"6", b"3"), (b"k1", b"7", b"4")]


@check()
async def a_watch_that_compaction_overtakes_says_so_rather_than_skip(stage: Stage) -> None:
    watch = await stage.store.watch(b"", 0)
    for n in range(2000):
        await stage.store.commit([Put(b"k", b"%d" % n)])
    await stage.store.compact(stage.store.revision)
    seen: list[int] = []
    try:
        while len(seen) < 2000:
            seen += [event.revision for event in await watch.receive()]
    except Compacted:
        pass
    assert seen == list(range(1, len(seen) + 1))


@check()
async def a_closed_watch_says_so_to_whoever_waits(stage: Stage) -> None:
    watch = await stage.store.watch(b"", 0)
    told: list[bool] = []

    async def read() -> None:
        try:
            await watch.receive()
        except trio.ClosedResourceError:
            told.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked(0.01)
        watch.close()
    watch.close()
    await read()
    assert told == [True, True]
