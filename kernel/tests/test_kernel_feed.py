"""Waiting for events of a feed."""

import pytest
import trio
import trio.testing

from kubrick_kernel.feed import Cursor, Feed, Lagged
from kubrick_kernel.store import Event


class Counter:
    """A source that has published up to `revision`."""

    revision = 0


def publish(feed: Feed, source: Counter, key: bytes) -> None:
    source.revision += 1
    feed.publish([Event(key, source.revision, None, None)])


async def test_one_who_waited_long_and_is_then_overrun_resumes_from_where_it_was_woken() -> None:
    source = Counter()
    feed = Feed(source, 0, capacity=2)
    cursor = Cursor(feed, b"quiet", 0)

    async def read() -> None:
        with pytest.raises(Lagged):
            await cursor.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(10):
            publish(feed, source, b"loud")
        publish(feed, source, b"quiet")
        for _ in range(10):
            publish(feed, source, b"loud")
    assert cursor.revision == 10


async def test_two_tasks_may_not_wait_at_one_cursor() -> None:
    cursor = Cursor(Feed(Counter(), 0), b"", 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cursor.receive)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await cursor.receive()
        nursery.cancel_scope.cancel()
