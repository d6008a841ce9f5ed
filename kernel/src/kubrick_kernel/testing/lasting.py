"""Checks of the storage suite: lifetimes, restarts and snapshots."""

import trio

from kubrick_kernel.store import Compacted, Delete, Put
from kubrick_kernel.testing.reads import fill, keys, raises
from kubrick_kernel.testing.stage import Stage, check, collect


@check(virtual=True)
async def a_key_with_a_lifetime_ends_in_an_ordinary_delete(stage: Stage) -> None:
    watch = await stage.store.watch(b"event", 0)
    await stage.store.commit([Put(b"event", b"v", ttl=60)])
    stage.jump(59)
    await fill(stage, b"still")
    assert await keys(stage) == [b"event", b"still"]
    stage.jump(1)
    _, deleted = await collect(watch, 2)
    assert deleted.item is None
    assert deleted.previous is not None
    assert (deleted.previous.value, deleted.revision) == (b"v", stage.store.revision)
    assert await keys(stage) == [b"still"]
    assert await keys(stage, revision=deleted.revision - 1) == [b"event", b"still"]


@check(virtual=True)
async def a_put_without_lifetime_keeps_the_key_for_good(stage: Stage) -> None:
    await stage.store.commit([Put(b"k", b"1", ttl=10)])
    await stage.store.commit([Put(b"k", b"2"), Put(b"other", b"", ttl=20)])
    watch = await stage.store.watch(b"", stage.store.revision)
    stage.jump(30)
    assert [event.key for event in await watch.receive()] == [b"other"]
    assert await keys(stage) == [b"k"]


@check(virtual=True)
async def a_put_with_a_lifetime_begins_it_anew(stage: Stage) -> None:
    await stage.store.commit([Put(b"k", b"1", ttl=10)])
    stage.jump(5)
    await stage.store.commit([Put(b"k", b"2", ttl=10), Put(b"other", b"", ttl=6)])
    watch = await stage.store.watch(b"", stage.store.revision)
    stage.jump(6)
    assert [event.key for event in await watch.receive()] == [b"other"]
    assert await keys(stage) == [b"k"]
    stage.jump(4)
    assert [event.key for event in await watch.receive()] == [b"k"]


@check(virtual=True)
async def a_key_that_is_deleted_and_made_again_does_not_inherit_the_old_deadline(stage: Stage) -> None:
    await stage.store.commit([Put(b"k", b"1", ttl=10)])
    await stage.store.commit([Delete(b"k")])
    await stage.store.commit([Put(b"k", b"2"), Put(b"other", b"", ttl=10)])
    watch = await stage.store.watch(b"", stage.store.revision)
    stage.jump(30)
    assert [event.key for event in await watch.receive()] == [b"other"]
    assert await keys(stage) == [b"k"]


@check(virtual=True)
async def keys_end_in_the_order_of_their_deadlines(stage: Stage) -> None:
    for n in (30, 10, 20, 40):
        await stage.store.commit([Put(b"%d" % n, b"", ttl=n)])
    watch = await stage.store.watch(b"", stage.store.revision)
    for n in (10, 20, 30, 40):
        stage.jump(10)
        assert [event.key for event in await watch.receive()] == [b"%d" % n]


@check(virtual=True)
async def many_keys_can_end_at_once(stage: Stage) -> None:
    await stage.store.commit([Put(b"k/%d" % n, b"", ttl=5) for n in range(350)])
    watch = await stage.store.watch(b"", stage.store.revision)
    stage.jump(5)
    assert {event.key for event in await collect(watch, 350)} == {b"k/%d" % n for n in range(350)}
    assert await keys(stage) == []


@check(durable=True)
async def what_was_acknowledged_is_there_after_a_restart(stage: Stage) -> None:
    await fill(stage, b"a", b"b", b"c")
    await stage.store.commit([Put(b"a", b"changed"), Delete(b"b")])
    before = await stage.store.range(b"")
    await stage.reopen()
    after = await stage.store.range(b"")
    assert after.revision == stage.store.revision == before.revision
    assert [(i.key, i.value, i.revision, i.created) for i in after.items] == [
        (i.key, i.value, i.revision, i.created) for i in before.items
    ]
    assert (await stage.store.commit([Put(b"d", b"")])).revision > before.revision


@check(durable=True)
async def a_watch_resumes_across_a_restart(stage: Stage) -> None:
    bookmark = await fill(stage, b"a", b"b")
    await stage.store.commit([Put(b"a", b"changed"), Delete(b"b")])
    await stage.reopen()
    await fill(stage, b"c")
    watch = await stage.store.watch(b"", bookmark)
    events = await collect(watch, 3)
    assert [(e.key, e.item and e.item.value, e.previous and e.previous.value) for e in events] == [
        (b"a", b"changed", b"a"),
        (b"b", None, b"b"),
        (b"c", b"c", None),
    ]


@check(durable=True)
async def the_past_can_be_read_after_a_restart(stage: Stage) -> None:
    revision = await fill(stage, b"a", b"b")
    await stage.store.commit([Put(b"a", b"changed"), Delete(b"b"), Put(b"c", b"")])
    await stage.reopen()
    found = await stage.store.range(b"", revision=revision)
    assert [(item.key, item.value) for item in found.items] == [(b"a", b"a"), (b"b", b"b")]


@check(durable=True)
async def a_restart_neither_forgets_a_compaction_nor_goes_back_in_revisions(stage: Stage) -> None:
    await fill(stage, b"a")
    revision = (await stage.store.commit([Delete(b"a")])).revision
    await stage.store.compact(revision)
    await stage.reopen()
    assert (stage.store.revision, stage.store.compacted) == (revision, revision)
    await raises(Compacted, stage.store.watch(b"", revision - 1))
    assert (await stage.store.commit([Put(b"b", b"")])).revision > revision


@check(durable=True)
async def what_compaction_leaves_is_exact_after_a_restart(stage: Stage) -> None:
    states: dict[int, dict[bytes, bytes]] = {}
    state: dict[bytes, bytes] = {}
    for n in range(400):
        key = b"k%d" % (n * 7 % 10)
        if n % 6 == 5:
            state.pop(key, None)
            await stage.store.commit([Delete(key), Put(b"always", b"%d" % n)])
        else:
            state[key] = b"%d" % n
            await stage.store.commit([Put(key, state[key]), Put(b"always", b"%d" % n)])
        states[stage.store.revision] = {**state, b"always": b"%d" % n}
    for kept in (100, 200, 350):
        await stage.store.compact(kept)
        await trio.sleep(0.02)
        await stage.reopen()
        for revision in range(kept, 401, 10):
            found = await stage.store.range(b"", revision=revision)
            assert {item.key: item.value for item in found.items} == states[revision]
        watch = await stage.store.watch(b"", kept)
        told = dict(states[kept])
        while watch.revision < 400:
            for event in await watch.receive():
                assert told.pop(event.key, None) == (event.previous.value if event.previous else None)
                if event.item is not None:
                    told[event.key] = event.item.value
        assert told == states[400]


@check(durable=True, virtual=True)
async def a_lifetime_goes_on_across_a_restart(stage: Stage) -> None:
    await stage.store.commit([Put(b"k", b"", ttl=60), Put(b"gone meanwhile", b"", ttl=20), Put(b"kept", b"1", ttl=20)])
    revision = (await stage.store.commit([Put(b"kept", b"2")])).revision
    await stage.close(stage.store)
    stage.jump(30)
    stage.store = await stage.open("data")
    watch = await stage.store.watch(b"", revision)
    assert [event.key for event in await watch.receive()] == [b"gone meanwhile"]
    stage.jump(30)
    assert [event.key for event in await watch.receive()] == [b"k"]
    assert await keys(stage) == [b"kept"]


@check()
async def a_snapshot_is_one_state_while_commits_go_on(stage: Stage) -> None:
    async def write() -> None:
        for n in range(200):
            await stage.store.commit([Put(b"a%d" % (n % 20), b"%d" % n), Put(b"b%d" % (n % 20), b"%d" % n)])

    await fill(stage, b"x")
    file = stage.directory / "snapshot"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.sleep(0.005)
        revision = await stage.store.snapshot(file)
    original = await stage.store.range(b"", revision=revision)
    copy = await stage.restore(file)
    found = await copy.range(b"")
    assert found.revision == copy.revision == revision
    assert [(i.key, i.value, i.revision, i.created) for i in found.items] == [
        (i.key, i.value, i.revision, i.created) for i in original.items
    ]
    assert (await copy.commit([Put(b"new", b"")])).revision > revision


@check()
async def a_snapshot_does_not_overwrite_a_file(stage: Stage) -> None:
    file = stage.directory / "precious"
    file.write_bytes(b"data")
    try:
        await stage.store.snapshot(file)
    except FileExistsError:
        assert file.read_bytes() == b"data"
    else:
        raise AssertionError("the file was overwritten")


@check(virtual=True)
async def a_snapshot_keeps_lifetimes(stage: Stage) -> None:
    await stage.store.commit([Put(b"k", b"", ttl=60), Put(b"for good", b"")])
    file = stage.directory / "snapshot"
    await stage.store.snapshot(file)
    copy = await stage.restore(file)
    watch = await copy.watch(b"", copy.revision)
    stage.jump(60)
    assert [event.key for event in await watch.receive()] == [b"k"]
