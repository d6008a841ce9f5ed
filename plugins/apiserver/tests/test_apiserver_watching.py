"""Watches: what a client sees, when it starts where, and what happens when it can't go on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api_core import CONFIG_MAPS

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
MERGE = {"Content-Type": "application/merge-patch+json"}
Object = dict[str, Any]


def config(name: str, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}}


class Watcher:
    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.data = b""

    async def next(self) -> list[Object]:
        """The frames that come next; an empty list is the end."""
        return [orjson.loads(line) for line in (await self.stream.next()).splitlines()]

    async def told(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next `count` events."""
        found: list[Object] = []
        while len(found) < count:
            found += await self.next()
        return [(frame["type"], frame["object"]["metadata"].get("name", "")) for frame in found]


@asynccontextmanager
async def watching(web: Any, target: str, headers: dict[str, str] | None = None) -> AsyncIterator[Watcher]:
    response = await web.respond("GET", target, headers=headers)
    assert response.status == 200
    async with response.body as stream:
        yield Watcher(stream)


async def test_a_watch_without_a_version_begins_with_what_is_there(web: Any) -> None:
    await web("POST", MAPS, config("a"))
    async with watching(web, f"{MAPS}?watch=1") as watcher:
        assert await watcher.told(1) == [("ADDED", "a")]
        await web("POST", MAPS, config("b"))
        await web("PATCH", f"{MAPS}/b", {"data": {"x": "y"}}, MERGE)
        await web("DELETE", f"{MAPS}/a")
        assert await watcher.told(3) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]


async def test_a_watch_from_a_version_sees_only_what_came_after(web: Any) -> None:
    _, first = await web("POST", MAPS, config("a"))
    await web("POST", MAPS, config("b"))
    async with watching(web, f"{MAPS}?watch=1&resourceVersion={first['metadata']['resourceVersion']}") as watcher:
        assert await watcher.told(1) == [("ADDED", "b")]


async def test_a_deleted_object_carries_the_revision_of_its_deletion(web: Any) -> None:
    _, obj = await web("POST", MAPS, config("a"))
    async with watching(web, f"{MAPS}?watch=1&resourceVersion={obj['metadata']['resourceVersion']}") as watcher:
        await web("DELETE", f"{MAPS}/a")
        (frame,) = await watcher.next()
    assert frame["type"] == "DELETED"
    assert int(frame["object"]["metadata"]["resourceVersion"]) == web.registry.bus.revision
    assert {**frame["object"], "metadata": 0} == {**obj, "metadata": 0}


async def test_objects_enter_and_leave_a_selector(web: Any) -> None:
    async with watching(web, f"{MAPS}?watch=1&labelSelector=app%3Dweb") as watcher:
        await web("POST", MAPS, config("a", app="db"))
        await web("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"app": "web"}}}, MERGE)
        await web("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"x": "y"}}}, MERGE)
        await web("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"app": "db"}}}, MERGE)
        await web("DELETE", f"{MAPS}/a")
        assert await watcher.told(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        await web("POST", MAPS, config("z", app="web"))
        assert await watcher.told(1) == [("ADDED", "z")]


async def test_one_object_is_watched_by_a_field_selector_and_by_the_old_path(web: Any) -> None:
    for target in (f"{MAPS}?watch=1&fieldSelector=metadata.name%3Da", "/api/v1/watch/namespaces/default/configmaps/a"):
        async with watching(web, target) as watcher:
            await web("POST", MAPS, config("ab"))
            await web("POST", MAPS, config("a"))
            assert await watcher.told(1) == [("ADDED", "a")]
        await web("DELETE", MAPS)


async def test_a_watch_of_one_namespace_hears_nothing_of_others(web: Any) -> None:
    await web("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    async with watching(web, f"{MAPS}?watch=1") as watcher:
        await web("POST", "/api/v1/namespaces/other/configmaps", config("there"))
        await web("POST", MAPS, config("here"))
        assert await watcher.told(1) == [("ADDED", "here")]
    async with watching(web, "/api/v1/configmaps?watch=1") as watcher:
        assert await watcher.told(2) == [("ADDED", "here"), ("ADDED", "there")]


async def test_initial_events_end_with_a_marked_bookmark(web: Any) -> None:
    await web("POST", MAPS, config("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(web, f"{MAPS}?{query}") as watcher:
        added, mark = await watcher.next()
    assert (added["type"], mark["type"]) == ("ADDED", "BOOKMARK")
    metadata = mark["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(metadata["resourceVersion"]) == web.registry.bus.revision
    assert mark["object"]["kind"] == "ConfigMap"


async def test_without_initial_events_a_watch_starts_now(web: Any) -> None:
    await web("POST", MAPS, config("a"))
    query = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
    async with watching(web, f"{MAPS}?{query}") as watcher:
        await web("POST", MAPS, config("b"))
        assert await watcher.told(1) == [("ADDED", "b")]


async def test_a_quiet_watch_gets_bookmarks_and_ends_in_time(web: Any, autojump_clock: trio.testing.MockClock) -> None:
    target = f"{MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=100"
    async with watching(web, target) as watcher:
        start = trio.current_time()
        await web("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        marks = [await watcher.next() for _ in range(2)]
        assert [mark["type"] for batch in marks for mark in batch] == ["BOOKMARK", "BOOKMARK"]
        assert marks[0][0]["object"]["metadata"]["resourceVersion"] == str(web.registry.bus.revision)
        assert trio.current_time() - start == pytest.approx(98)
        assert await watcher.next() == []
        assert trio.current_time() - start == pytest.approx(100)


async def test_without_bookmarks_allowed_there_are_none(web: Any, autojump_clock: trio.testing.MockClock) -> None:
    async with watching(web, f"{MAPS}?watch=1&timeoutSeconds=300") as watcher:
        assert await watcher.next() == []


async def test_a_watch_lasts_half_an_hour_to_an_hour_by_itself(
    web: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async with watching(web, f"{MAPS}?watch=1") as watcher:
        start = trio.current_time()
        assert await watcher.next() == []
        assert 1800 <= trio.current_time() - start <= 3600


async def test_a_watch_from_compacted_history_is_told_to_list_again(web: Any) -> None:
    await web("POST", MAPS, config("a"))
    topic = web.registry.bus.topic(b"configmaps/")
    for n in range(3):
        await web("PATCH", f"{MAPS}/a", {"data": {"n": str(n)}}, MERGE)
    revision = web.registry.bus.revision
    await web.registry.bus.store.compact(revision)
    topic._feed.restart(revision)
    async with watching(web, f"{MAPS}?watch=1&resourceVersion=1") as watcher:
        (frame,) = await watcher.next()
        assert frame["type"] == "ERROR"
        status = frame["object"]
        assert (status["code"], status["reason"]) == (410, "Expired")
        assert status["message"] == f"too old resource version: 1 ({revision})"
        assert await watcher.next() == []
    with pytest.raises(StatusError) as refused:
        async with web.cluster.client.watch(CONFIG_MAPS, "default", resource_version="1") as stream:
            await stream.receive()
    assert refused.value.code == 410


async def test_a_watch_from_the_future_waits_for_it(web: Any) -> None:
    revision = web.registry.bus.revision + 2
    async with watching(web, f"{MAPS}?watch=1&resourceVersion={revision}") as watcher:
        for name in "abc":
            await web("POST", MAPS, config(name))
        assert await watcher.told(1) == [("ADDED", "c")]


async def test_a_watch_of_tables_describes_the_columns_once(web: Any) -> None:
    await web("POST", MAPS, config("a"))
    async with watching(web, f"{MAPS}?watch=1", TABLE) as watcher:
        (first,) = await watcher.next()
        await web("POST", MAPS, config("b"))
        (second,) = await watcher.next()
    assert first["object"]["kind"] == "Table"
    assert first["object"]["columnDefinitions"]
    assert not second["object"]["columnDefinitions"]
    assert second["object"]["rows"][0]["cells"][0] == "b"


async def test_every_watcher_is_sent_the_same_bytes(web: Any) -> None:
    async with watching(web, f"{MAPS}?watch=1") as one, watching(web, f"{MAPS}?watch=1") as other:
        await web("POST", MAPS, config("a"))
        assert await one.stream.next() is await other.stream.next()


async def test_a_watcher_that_does_not_read_is_cut_off(web: Any) -> None:
    async with watching(web, f"{MAPS}?watch=1&resourceVersion={web.registry.bus.revision}") as watcher:
        await web("POST", MAPS, config("a"))
        for n in range(5300):
            await web("PATCH", f"{MAPS}/a", {"data": {"n": str(n)}}, MERGE)
        assert await watcher.next() == []


async def test_in_process_watchers_share_one_object(web: Any) -> None:
    client = web.cluster.client
    async with client.watch(CONFIG_MAPS, "default") as one, client.watch(CONFIG_MAPS, "default") as other:
        await web("POST", MAPS, config("a"))
        (first,), (second,) = await one.receive(), await other.receive()
        assert first.type == "ADDED"
        assert first.object is second.object
        await web("DELETE", f"{MAPS}/a")
        (first,), (second,) = await one.receive(), await other.receive()
        assert first.type == "DELETED"
        assert first.object is second.object


async def test_what_cannot_be_watched_is_refused(web: Any) -> None:
    reviews = GVR("authentication.k8s.io", "v1", "selfsubjectreviews")
    with pytest.raises(StatusError):
        async with web.cluster.client.watch(reviews):
            pass
    status, answer = await web("GET", f"{MAPS}?watch=1&sendInitialEvents=true")
    assert status == 422
    assert answer["details"]["causes"][0]["message"] == (
        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    )
