"""Checks of the storage suite: what reads of the present and the past promise, and compaction."""

from collections.abc import Awaitable

from kubrick_kernel.store import Compacted, Delete, FutureRevision, Put, StoreError
from kubrick_kernel.testing.stage import Stage, check


async def fill(stage: Stage, *keys: bytes) -> int:
    """Put each key, with itself as value; the revision after that."""
    for key in keys:
        await stage.store.commit([Put(key, key)])
    return stage.store.revision


async def raises(error: type[StoreError], awaitable: Awaitable[object]) -> StoreError:
    try:
        await awaitable
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was not raised")


async def keys(stage: Stage, prefix: bytes = b"", revision: int | None = None) -> list[bytes]:
    return [item.key for item in (await stage.store.range(prefix, revision=revision)).items]


@check()
async def an_absent_key_is_none(stage: Stage) -> None:
    await fill(stage, b"kk")
    assert await stage.store.get(b"k") is None
    assert await stage.store.get(b"kkk") is None


@check()
async def a_range_is_in_key_order_and_holds_exactly_its_prefix(stage: Stage) -> None:
    await fill(stage, b"pods/b/2", b"pods/a/9", b"pods/b/1", b"pods/bb/1", b"podsets/b/1", b"nodes/a", b"pods/b0")
    assert await keys(stage, b"pods/b/") == [b"pods/b/1", b"pods/b/2"]
    assert await keys(stage, b"pods/") == [b"pods/a/9", b"pods/b/1", b"pods/b/2", b"pods/b0", b"pods/bb/1"]
    assert await keys(stage, b"x") == []


@check()
async def a_limited_range_says_whether_more_follow_and_how_many(stage: Stage) -> None:
    await fill(stage, *(b"k/%d" % n for n in range(7)), b"l")
    page = await stage.store.range(b"k/", limit=3)
    assert ([item.key for item in page.items], page.more, page.remaining) == ([b"k/0", b"k/1", b"k/2"], True, 4)
    page = await stage.store.range(b"k/", start=b"k/5", limit=3)
    assert ([item.key for item in page.items], page.more, page.remaining) == ([b"k/5", b"k/6"], False, 0)
    page = await stage.store.range(b"k/", start=b"k/30", limit=1)
    assert ([item.key for item in page.items], page.more, page.remaining) == ([b"k/4"], True, 2)
    page = await stage.store.range(b"k/", start=b"k/9")
    assert (page.items, page.more) == ([], False)


@check()
async def a_range_of_nothing_still_carries_the_newest_revision(stage: Stage) -> None:
    revision = await fill(stage, b"elsewhere")
    assert (await stage.store.range(b"here")).revision == revision


@check()
async def the_past_can_be_read(stage: Stage) -> None:
    first = (await stage.store.commit([Put(b"k", b"1")])).revision
    second = (await stage.store.commit([Put(b"k", b"2"), Put(b"l", b"2")])).revision
    third = (await stage.store.commit([Delete(b"k")])).revision
    fourth = (await stage.store.commit([Put(b"k", b"4")])).revision
    found = [await stage.store.get(b"k", revision) for revision in (0, first, second, third, fourth)]
    assert [item and (item.value, item.revision, item.created) for item in found] == [
        None,
        (b"1", first, first),
        (b"2", second, first),
        None,
        (b"4", fourth, fourth),
    ]
    assert await keys(stage, revision=first) == [b"k"]
    assert await keys(stage, revision=second) == [b"k", b"l"]
    assert await keys(stage, revision=third) == [b"l"]
    assert (await stage.store.range(b"", revision=second)).revision == second


@check()
async def pages_of_one_revision_show_one_state(stage: Stage) -> None:
    revision = await fill(stage, *(b"k/%02d" % n for n in range(10)))
    pages: list[bytes] = []
    start = b""
    for turn in range(4):
        page = await stage.store.range(b"k/", start=start, limit=3, revision=revision)
        pages += [item.value for item in page.items]
        assert page.remaining == 10 - len(pages)
        start = page.items[-1].key + b"\x00"
        await stage.store.commit(
            [Put(b"k/new%d" % turn, b""), Put(b"k/09", b"changed"), Delete(b"k/%02d" % (turn + 4))]
        )
    assert pages == [b"k/%02d" % n for n in range(10)]


@check()
async def the_distant_past_is_exact(stage: Stage) -> None:
    states = {0: dict[bytes, bytes]()}
    state: dict[bytes, bytes] = {}
    for n in range(1500):
        key = b"k%d" % (n * 7 % 40)
        if n % 5 == 4:
            state.pop(key, None)
            committed = await stage.store.commit([Delete(key)])
        else:
            state[key] = b"%d" % n
            committed = await stage.store.commit([Put(key, state[key])])
        states[committed.revision] = dict(state)
    for revision in list(states)[::100]:
        found = await stage.store.range(b"", revision=revision)
        assert {item.key: item.value for item in found.items} == states[revision]
        item = await stage.store.get(b"k7", revision)
        assert (item.value if item else None) == states[revision].get(b"k7")


@check()
async def the_future_cannot_be_read(stage: Stage) -> None:
    future = await fill(stage, b"k") + 1
    await raises(FutureRevision, stage.store.get(b"k", future))
    await raises(FutureRevision, stage.store.range(b"", revision=future))
    await raises(FutureRevision, stage.store.watch(b"", future))
    await raises(FutureRevision, stage.store.compact(future))


@check()
async def what_is_compacted_cannot_be_read_and_the_rest_can(stage: Stage) -> None:
    await fill(stage, b"a", b"b")
    await stage.store.commit([Delete(b"a")])
    kept = await fill(stage, b"c")
    await stage.store.commit([Put(b"b", b"new")])
    await stage.store.compact(kept)
    assert stage.store.compacted == kept
    error = await raises(Compacted, stage.store.get(b"b", kept - 1))
    assert isinstance(error, Compacted)
    assert (error.revision, error.compacted) == (kept - 1, kept)
    await raises(Compacted, stage.store.range(b"", revision=kept - 1))
    await raises(Compacted, stage.store.watch(b"", kept - 1))
    assert await keys(stage, revision=kept) == [b"b", b"c"]
    item = await stage.store.get(b"b", kept)
    assert item is not None
    assert item.value == b"b"
    assert await keys(stage) == [b"b", b"c"]


@check()
async def compacting_again_or_less_changes_nothing(stage: Stage) -> None:
    await fill(stage, b"a", b"b", b"c")
    await stage.store.compact(2)
    await stage.store.compact(2)
    await stage.store.compact(1)
    assert stage.store.compacted == 2


@check()
async def writes_go_on_while_history_is_compacted(stage: Stage) -> None:
    for n in range(300):
        await stage.store.commit([Put(b"k%d" % (n % 10), b"%d" % n)])
        if n % 20 == 19:
            await stage.store.compact(stage.store.revision - 5)
    revision = stage.store.revision
    for back in range(5):
        found = await stage.store.range(b"", revision=revision - back)
        assert max(int(item.value) for item in found.items) == 299 - back
        assert len(found.items) == 10
