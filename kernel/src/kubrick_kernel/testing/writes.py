"""Checks of the storage suite: what a commit promises."""

import time

import trio

from kubrick_kernel.store import Check, Conflict, Delete, Op, Put
from kubrick_kernel.testing.stage import Stage, check


async def refused(stage: Stage, *ops: Op) -> Conflict:
    """Commit what must be refused."""
    before = stage.store.revision
    try:
        await stage.store.commit(ops)
    except Conflict as conflict:
        assert stage.store.revision == before, "a refused transaction took a revision"
        return conflict
    raise AssertionError(f"{ops} was not refused")


async def invalid(stage: Stage, *ops: Op) -> None:
    """Commit what no state could make right."""
    try:
        await stage.store.commit(ops)
    except ValueError:
        return
    raise AssertionError(f"{ops} raised no ValueError")


@check()
async def an_empty_store_is_at_revision_zero(stage: Stage) -> None:
    assert (stage.store.revision, stage.store.compacted) == (0, 0)
    found = await stage.store.range(b"")
    assert (found.items, found.more, found.remaining, found.revision) == ([], False, 0, 0)


@check()
async def every_commit_has_a_greater_revision(stage: Stage) -> None:
    revisions = [(await stage.store.commit([Put(b"k", b"%d" % n)])).revision for n in range(5)]
    assert revisions == sorted(set(revisions))
    assert stage.store.revision == revisions[-1]


@check()
async def a_put_returns_what_is_stored(stage: Stage) -> None:
    memo = object()
    committed = await stage.store.commit([Put(b"k", b"value", memo=memo)])
    (item,) = committed.items
    assert item is not None
    assert (item.key, item.value, item.revision, item.created) == (
        b"k",
        b"value",
        committed.revision,
        committed.revision,
    )
    assert item.memo is memo
    found = await stage.store.get(b"k")
    assert found is not None
    assert (found.key, found.value, found.revision, found.created) == (b"k", b"value", item.revision, item.created)


@check()
async def an_update_keeps_the_creation_revision_and_a_new_life_gets_a_new_one(stage: Stage) -> None:
    created = (await stage.store.commit([Put(b"k", b"1")])).revision
    (updated,) = (await stage.store.commit([Put(b"k", b"2")])).items
    assert updated is not None
    assert updated.created == created < updated.revision
    await stage.store.commit([Delete(b"k")])
    (again,) = (await stage.store.commit([Put(b"k", b"3")])).items
    assert again is not None
    assert again.created == again.revision > updated.revision


@check()
async def a_key_that_exists_is_not_created_again(stage: Stage) -> None:
    await stage.store.commit([Put(b"k", b"1", expect=0)])
    conflict = await refused(stage, Put(b"k", b"2", expect=0))
    assert conflict.key == b"k"
    assert conflict.expected == 0
    assert conflict.current is not None
    assert conflict.current.value == b"1"


@check()
async def a_write_on_a_stale_revision_is_refused_and_says_what_stands_there(stage: Stage) -> None:
    first = (await stage.store.commit([Put(b"k", b"1")])).revision
    second = (await stage.store.commit([Put(b"k", b"2", expect=first)])).revision
    for op in (Put(b"k", b"3", expect=first), Delete(b"k", expect=first), Check(b"k", first)):
        conflict = await refused(stage, op)
        assert conflict.current is not None
        assert (conflict.current.revision, conflict.current.value) == (second, b"2")
    await stage.store.commit([Delete(b"k", expect=second)])
    assert (await refused(stage, Put(b"k", b"4", expect=second))).current is None


@check()
async def a_delete_returns_the_last_value_in_its_event_with_a_revision_of_its_own(stage: Stage) -> None:
    put = await stage.store.commit([Put(b"k", b"last")])
    deleted = await stage.store.commit([Delete(b"k")])
    (event,) = deleted.events
    assert deleted.items == (None,)
    assert event.revision == deleted.revision > put.revision
    assert event.item is None
    assert event.previous is not None
    assert event.previous.value == b"last"
    assert await stage.store.get(b"k") is None


@check()
async def what_changes_nothing_gets_no_revision(stage: Stage) -> None:
    revision = (await stage.store.commit([Put(b"k", b"1")])).revision
    nothing: list[list[Op]] = [[Delete(b"absent")], [Check(b"k", revision)], [Check(b"absent", 0)], []]
    for ops in nothing:
        committed = await stage.store.commit(ops)
        assert (committed.revision, committed.events) == (revision, ())
    assert stage.store.revision == revision


@check()
async def an_identical_value_is_written_all_the_same(stage: Stage) -> None:
    first = await stage.store.commit([Put(b"k", b"same")])
    second = await stage.store.commit([Put(b"k", b"same")])
    assert second.revision > first.revision
    assert len(second.events) == 1


@check()
async def a_transaction_is_one_commit(stage: Stage) -> None:
    await stage.store.commit([Put(b"old", b"o")])
    ops: list[Op] = [Put(b"a", b"1"), Delete(b"old"), Put(b"b", b"2"), Check(b"c", 0)]
    committed = await stage.store.commit(ops)
    assert [item and item.key for item in committed.items] == [b"a", None, b"b", None]
    assert {event.revision for event in committed.events} == {committed.revision}
    assert [event.key for event in committed.events] == [b"a", b"old", b"b"]


@check()
async def a_transaction_with_one_failing_guard_writes_nothing(stage: Stage) -> None:
    await stage.store.commit([Put(b"stands", b"1")])
    await refused(stage, Put(b"new", b"x"), Delete(b"stands"), Put(b"third", b"x", expect=7))
    found = await stage.store.range(b"")
    assert [(item.key, item.value) for item in found.items] == [(b"stands", b"1")]


@check()
async def a_transaction_that_names_a_key_twice_is_invalid(stage: Stage) -> None:
    await invalid(stage, Put(b"k", b"1"), Delete(b"k"))
    await invalid(stage, Check(b"k", 0), Put(b"k", b"1"))


@check()
async def a_stamp_puts_the_revision_into_the_value(stage: Stage) -> None:
    for stamp, expected in ((0, b"%dabc"), (2, b"ab%dc"), (3, b"abc%d")):
        committed = await stage.store.commit([Put(b"k", b"abc", stamp=stamp)])
        item = await stage.store.get(b"k")
        assert item is not None
        assert item.value == expected % committed.revision


@check()
async def a_stamp_outside_the_value_and_a_lifetime_of_nothing_are_invalid(stage: Stage) -> None:
    await invalid(stage, Put(b"k", b"abc", stamp=4))
    await invalid(stage, Put(b"k", b"abc", stamp=-1))
    await invalid(stage, Put(b"k", b"abc", ttl=0))
    assert await stage.store.get(b"k") is None


@check()
async def any_bytes_are_a_key_and_a_value(stage: Stage) -> None:
    pairs = {b"\x00": b"", b"\xff\xff": b"\x00\xff", b"k\x00k": b"x" * 1_048_576, "schlüssel/ä".encode(): b"\n"}
    await stage.store.commit([Put(key, value) for key, value in pairs.items()])
    found = await stage.store.range(b"")
    assert [(item.key, item.value) for item in found.items] == sorted(pairs.items())
    assert [item.key for item in (await stage.store.range(b"\xff")).items] == [b"\xff\xff"]


@check()
async def of_many_who_create_a_key_exactly_one_succeeds(stage: Stage) -> None:
    won: list[bytes] = []

    async def create(value: bytes) -> None:
        try:
            await stage.store.commit([Put(b"k", value, expect=0)])
            won.append(value)
        except Conflict:
            pass

    async with trio.open_nursery() as nursery:
        for n in range(50):
            nursery.start_soon(create, b"%d" % n)
    item = await stage.store.get(b"k")
    assert item is not None
    assert won == [item.value]


@check()
async def a_commit_meets_those_that_are_under_way(stage: Stage) -> None:
    """An engine that commits beside trio's thread must not judge by what trio's thread has seen."""
    won: list[bytes] = []

    async def create(key: bytes) -> None:
        try:
            await stage.store.commit([Put(key, b"", expect=0)])
            won.append(key)
        except Conflict:
            pass

    for n in range(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(create, b"k%d" % n)
            await trio.sleep(0.0001)
            nursery.start_soon(create, b"k%d" % n)
            await trio.lowlevel.checkpoint()
            end = time.perf_counter() + 0.02
            while time.perf_counter() < end:
                pass
    assert won == [b"k%d" % n for n in range(5)]


@check()
async def no_update_is_lost_among_many_who_compare_and_swap(stage: Stage) -> None:
    await stage.store.commit([Put(b"count", b"0")])

    async def increment() -> None:
        while True:
            item = await stage.store.get(b"count")
            assert item is not None
            try:
                await stage.store.commit([Put(b"count", b"%d" % (int(item.value) + 1), expect=item.revision)])
                return
            except Conflict:
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(increment)
    item = await stage.store.get(b"count")
    assert item is not None
    assert item.value == b"20"


@check()
async def a_refused_transaction_does_not_disturb_those_beside_it(stage: Stage) -> None:
    await stage.store.commit([Put(b"taken", b"")])
    refusals: list[Conflict] = []

    async def write(n: int) -> None:
        if n % 3 == 0:
            try:
                await stage.store.commit([Put(b"k%d" % n, b""), Put(b"taken", b"", expect=0)])
            except Conflict as conflict:
                refusals.append(conflict)
        else:
            await stage.store.commit([Put(b"k%d" % n, b"")])

    async with trio.open_nursery() as nursery:
        for n in range(60):
            nursery.start_soon(write, n)
    found = {item.key for item in (await stage.store.range(b"k")).items}
    assert len(refusals) == 20
    assert found == {b"k%d" % n for n in range(60) if n % 3}


@check()
async def a_cancelled_commit_is_whole_or_not_at_all(stage: Stage) -> None:
    watch = await stage.store.watch(b"", 0)
    for n in range(40):
        with trio.move_on_after(n * 0.0001):
            await stage.store.commit([Put(b"a%d" % n, b""), Put(b"b%d" % n, b"")])
    last = await stage.store.commit([Put(b"end", b"")])
    seen: set[bytes] = set()
    while b"end" not in seen:
        seen |= {event.key for event in await watch.receive()}
    found = {item.key for item in (await stage.store.range(b"")).items}
    assert found == seen
    assert stage.store.revision == last.revision
    for n in range(40):
        assert (b"a%d" % n in found) == (b"b%d" % n in found)


@check()
async def an_acknowledged_commit_is_read_at_once(stage: Stage) -> None:
    async def write(n: int) -> None:
        for turn in range(10):
            committed = await stage.store.commit([Put(b"k%d" % n, b"%d" % turn)])
            item = await stage.store.get(b"k%d" % n)
            assert item is not None
            assert item.revision == committed.revision <= stage.store.revision

    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(write, n)
