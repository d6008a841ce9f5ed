"""Many watchers served as one: each still sees everything, once and in order, whatever its connection does."""

from random import Random  # noqa: TID251  # seeded by the test
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kubrick_apiserver import audience, watching
from kubrick_kernel import Event

MAPS = "/api/v1/namespaces/default/configmaps"
WATCHERS = audience.CROWD + 10
CHANGES = 60


class Connection:
    """A fake of the HTTP connection: an outlet, and a task that sends what `next` returns. With `moody`, it refuses
    now and then, in which case it has the rest of the piece sent by `flush`, and may take its time."""

    def __init__(self, stream: Any, moody: Random | None = None) -> None:
        self.stream = stream
        self.data = b""
        self.shared = 0
        self._moody = moody
        self._rest = b""
        stream.attach(self)

    def put(self, piece: bytes, framed: bytes) -> bool:
        assert not self._rest, "put before flush"
        assert framed.endswith(piece + b"\r\n")
        self.shared += 1
        if self._moody is not None and self._moody.random() < 0.2:
            self.data += piece[:10]
            self._rest = piece[10:]
            return False
        self.data += piece
        return True

    async def flush(self) -> None:
        if self._rest and self._moody is not None:
            await trio.sleep(self._moody.random())
        self.data += self._rest
        self._rest = b""

    async def run(self) -> None:
        while piece := await self.stream.next():
            assert not self._rest, "next before flush"
            self.data += piece

    def seen(self) -> list[tuple[str, str, str]]:
        frames = [orjson.loads(line) for line in self.data.splitlines()]
        return [
            (frame["type"], frame["object"]["metadata"]["name"], frame["object"]["metadata"]["resourceVersion"])
            for frame in frames
            if frame["type"] != "BOOKMARK"
        ]


async def change(web: Any, number: int) -> tuple[str, str]:
    """One change after the other: what it is to a watcher."""
    name = f"map-{number // 3}"
    if number % 3 == 0:
        await web("POST", MAPS, {"metadata": {"name": name}})
        return "ADDED", name
    if number % 3 == 1:
        await web("PATCH", f"{MAPS}/{name}", {"data": {"a": "b"}}, {"Content-Type": "application/merge-patch+json"})
        return "MODIFIED", name
    await web("DELETE", f"{MAPS}/{name}")
    return "DELETED", name


@pytest.mark.parametrize("seed", range(4))
async def test_everybody_sees_everything_once_and_in_order(
    web: Any, autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    chance = Random(seed)
    registry = web.registry
    expected: list[tuple[str, str]] = []
    connections: list[Connection] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.audiences.run)
        target = f"{MAPS}?watch=1&resourceVersion={registry.bus.revision}&allowWatchBookmarks=true&timeoutSeconds=86400"
        scopes: list[trio.CancelScope] = []

        async def watch(number: int) -> None:
            response = await web.respond("GET", target)
            async with response.body as stream:
                connection = Connection(stream, chance if number % 3 == 0 else None)
                connections.append(connection)
                scopes.append(scope := trio.CancelScope())
                with scope:
                    await connection.run()

        for number in range(WATCHERS):
            nursery.start_soon(watch, number)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(CHANGES):
            expected.append(await change(web, number))
            await trio.sleep(chance.choice((0, 0, 0.001, 0.5, 100)))
            if number == CHANGES // 2:
                for scope in scopes[: WATCHERS // 4]:
                    scope.cancel()  # they leave, perhaps in the middle of a round
                gone = connections[: WATCHERS // 4]
        await trio.sleep(300)
        nursery.cancel_scope.cancel()
    for connection in connections:
        seen = connection.seen() if connection not in gone else None
        if seen is not None:
            assert [(kind, name) for kind, name, _ in seen] == expected
            revisions = [int(revision) for _, _, revision in seen]
            assert revisions == sorted(set(revisions))
    assert sum(connection.shared for connection in connections) > CHANGES * WATCHERS // 4


async def test_few_watchers_are_served_by_themselves(web: Any) -> None:
    registry = web.registry
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.audiences.run)
        response = await web.respond("GET", f"{MAPS}?watch=1&resourceVersion={registry.bus.revision}")
        async with response.body as stream:
            connection = Connection(stream)
            await web("POST", MAPS, {"metadata": {"name": "a"}})
            assert b'"name":"a"' in await stream.next()
            assert connection.shared == 0
        nursery.cancel_scope.cancel()


async def test_a_watcher_with_a_selector_is_never_shown_what_the_others_see(
    web: Any, autojump_clock: trio.testing.MockClock
) -> None:
    registry = web.registry
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.audiences.run)
        connections: list[Connection] = []

        async def watch(query: str) -> None:
            target = f"{MAPS}?watch=1&resourceVersion={registry.bus.revision}{query}"
            response = await web.respond("GET", target)
            async with response.body as stream:
                connections.append(Connection(stream))
                await connections[-1].run()

        nursery.start_soon(watch, "&labelSelector=a=b")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(audience.SMALLEST):
            nursery.start_soon(watch, "")
        await trio.testing.wait_all_tasks_blocked()
        for name, labels in (("other", {}), ("mine", {"a": "b"}), ("last", {})):
            await web("POST", MAPS, {"metadata": {"name": name, "labels": labels}})
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [name for _, name, _ in connections[0].seen()] == ["mine"]
    assert all([name for _, name, _ in each.seen()] == ["other", "mine", "last"] for each in connections[1:])
    assert any(each.shared for each in connections[1:])


async def test_each_representation_has_an_audience_of_its_own(web: Any, autojump_clock: trio.testing.MockClock) -> None:
    registry = web.registry
    forms = ("Table;v=v1;g=meta.k8s.io", "PartialObjectMetadata;v=v1;g=meta.k8s.io", "")
    connections: list[tuple[str, Connection]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.audiences.run)

        async def watch(form: str) -> None:
            headers = {"Accept": f"application/json;as={form}"} if form else {}
            target = f"{MAPS}?watch=1&resourceVersion={registry.bus.revision}"
            response = await web.respond("GET", target, headers=headers)
            async with response.body as stream:
                connections.append((form, Connection(stream)))
                await connections[-1][1].run()

        for form in forms * audience.SMALLEST:
            nursery.start_soon(watch, form)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(9):
            await change(web, number)
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    for form, connection in connections:
        kinds = {orjson.loads(line)["object"]["kind"] for line in connection.data.splitlines()}
        assert kinds == {form.partition(";")[0] or "ConfigMap"}
        assert len(connection.data.splitlines()) == 9
    for form in forms:
        assert any(connection.shared for of, connection in connections if of == form)


@given(st.lists(st.integers(1, audience.SLICE * 2), max_size=8))
def test_pieces_hold_whole_commits_and_nothing_is_left_out(commits: list[int]) -> None:
    events = [
        Event(b"k%d" % number, revision, None, None)
        for revision, size in enumerate(commits, 1)
        for number in range(size)
    ]
    cuts = list(audience.slices(events))
    assert [event for start, stop in cuts for event in events[start:stop]] == events
    for start, stop in cuts:
        assert stop == len(events) or events[stop].revision != events[stop - 1].revision
        assert len({event.revision for event in events[start:stop]}) == 1 or stop - start < audience.SLICE * 3


async def test_a_long_beginning_comes_in_pieces(web: Any) -> None:
    for number in range(watching.SLICE + 5):
        await web("POST", MAPS, {"metadata": {"name": f"map-{number:04}"}})
    response = await web.respond("GET", f"{MAPS}?watch=1")
    async with response.body as stream:
        pieces = [(await stream.next()).splitlines() for _ in range(2)]
    assert [len(piece) for piece in pieces] == [watching.SLICE, 5]
    names = [orjson.loads(line)["object"]["metadata"]["name"] for piece in pieces for line in piece]
    assert names == [f"map-{number:04}" for number in range(watching.SLICE + 5)]
