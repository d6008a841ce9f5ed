"""Lists: pages are one snapshot, versions are honoured, and watchers end up where lists are."""

from typing import Any

import hypothesis
import hypothesis.strategies as st
import orjson
import pytest
import trio

from kubrick_api_core import CONFIG_MAPS, PODS
from kubrick_testing import run_cluster

MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def fill(web: Any, count: int, **labels: str) -> None:
    for n in range(count):
        await web("POST", MAPS, {"metadata": {"name": f"m{n:02}", "labels": {**labels, "n": str(n % 3)}}})


def names(found: Any) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


async def pages(web: Any, query: str, between: Any = None) -> list[Any]:
    """All pages of a list; `between` is awaited after each."""
    found = []
    token = ""
    while True:
        status, page = await web("GET", f"{MAPS}?{query}{'&continue=' + token if token else ''}")
        assert status == 200, page
        found.append(page)
        token = page["metadata"].get("continue", "")
        if not token:
            return found
        if between is not None:
            await between()


async def test_pages_are_one_snapshot_and_count_what_remains(web: Any) -> None:
    await fill(web, 7)

    async def disturb() -> None:
        await web("DELETE", f"{MAPS}/m06")
        await web("POST", MAPS, {"metadata": {"generateName": "m05-"}})
        await web("PATCH", f"{MAPS}/m05", {"data": {"x": "y"}}, MERGE)

    found = await pages(web, "limit=3", disturb)
    assert [names(page) for page in found] == [["m00", "m01", "m02"], ["m03", "m04", "m05"], ["m06"]]
    assert [page["metadata"].get("remainingItemCount") for page in found] == [4, 1, None]
    assert len({page["metadata"]["resourceVersion"] for page in found}) == 1
    assert "data" not in found[1]["items"][2]


async def test_pages_of_a_selection_are_full_and_count_nothing(web: Any) -> None:
    await fill(web, 10)
    found = await pages(web, "limit=2&labelSelector=n%3D0")
    assert [names(page) for page in found] == [["m00", "m03"], ["m06", "m09"]]
    assert all("remainingItemCount" not in page["metadata"] for page in found)


async def test_a_page_of_forgotten_history_offers_to_go_on(web: Any) -> None:
    await fill(web, 4)
    _, first = await web("GET", f"{MAPS}?limit=2")
    await web("POST", MAPS, {"metadata": {"name": "m99"}})
    await web.registry.bus.store.compact(web.registry.bus.revision)
    status, refusal = await web("GET", f"{MAPS}?limit=2&continue={first['metadata']['continue']}")
    assert (status, refusal["reason"]) == (410, "Expired")
    assert refusal["message"].startswith("The provided continue parameter is too old")
    status, rest = await web("GET", f"{MAPS}?continue={refusal['metadata']['continue']}")
    assert status == 200
    assert names(rest) == ["m02", "m03", "m99"]


async def test_an_exact_version_is_that_version(web: Any) -> None:
    await fill(web, 2)
    _, then = await web("GET", MAPS)
    await web("DELETE", f"{MAPS}/m00")
    version = then["metadata"]["resourceVersion"]
    _, exact = await web("GET", f"{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert exact == then
    _, fresh = await web("GET", f"{MAPS}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")
    assert names(fresh) == ["m01"]
    _, legacy = await web("GET", f"{MAPS}?resourceVersion={version}&limit=5")
    assert names(legacy) == ["m00", "m01"]


async def test_a_version_from_the_future_times_out(web: Any) -> None:
    revision = web.registry.bus.revision
    for target in (f"{MAPS}?resourceVersion={revision + 9}", f"{MAPS}/x?resourceVersion={revision + 9}"):
        status, refusal = await web("GET", target)
        assert (status, refusal["reason"]) == (504, "Timeout")
        assert refusal["message"] == f"Timeout: Too large resource version: {revision + 9}, current: {revision}"


async def test_fields_select(web: Any) -> None:
    for name, node in (("a", "n1"), ("b", "n2")):
        spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": node}
        await web("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": name}, "spec": spec})
    _, found = await web("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2")
    assert names(found) == ["b"]
    _, found = await web("GET", "/api/v1/pods?fieldSelector=metadata.name%3Da")
    assert names(found) == ["a"]
    _, found = await web("GET", "/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Da,spec.nodeName%3Dn2")
    assert names(found) == []
    _, found = await web("GET", "/api/v1/pods?fieldSelector=metadata.namespace%21%3Ddefault")
    assert names(found) == []


async def test_a_list_is_sent_as_it_is_stored(web: Any) -> None:
    await fill(web, 200)
    response = await web.respond("GET", MAPS)
    assert isinstance(response.body, list)
    assert len(response.body) < 12
    found = orjson.loads(b"".join(response.body))
    assert (found["kind"], found["apiVersion"], len(found["items"])) == ("ConfigMapList", "v1", 200)


async def test_in_process_reads_share_the_caches_objects(web: Any) -> None:
    await fill(web, 1)
    client = web.cluster.client
    one = await client.get(CONFIG_MAPS, "m00", "default")
    assert one is await client.get(CONFIG_MAPS, "m00", "default")
    assert one is (await client.list(CONFIG_MAPS, "default"))["items"][0]


async def test_what_a_client_hands_in_is_left_as_it_was(web: Any) -> None:
    client = web.cluster.client
    asked = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    before = orjson.dumps(asked)
    created = await client.create(PODS, asked, "default")
    assert orjson.dumps(asked) == before
    updated = {**created, "metadata": {**created["metadata"], "labels": {"a": "b"}}}
    before = orjson.dumps(updated)
    await client.update(PODS, updated)
    assert orjson.dumps(updated) == before


NAMES = st.sampled_from("abcd")
WRITES = st.lists(st.tuples(st.sampled_from(("put", "label", "delete")), NAMES, st.integers(0, 3)), max_size=40)


@hypothesis.given(writes=WRITES, reads=st.lists(st.booleans(), max_size=40))
@hypothesis.settings(max_examples=40, deadline=None)
def test_whatever_is_written_watchers_end_with_what_a_list_shows(
    writes: list[tuple[str, str, int]], reads: list[bool]
) -> None:
    """Two watchers, one with a selector, read when Hypothesis says; each follows the events it is sent."""

    async def main() -> None:
        async with run_cluster("api") as cluster:
            client = cluster.client
            everything: dict[str, Any] = {}
            selected: dict[str, Any] = {}
            async with (
                client.watch(CONFIG_MAPS, "default", bookmarks=False) as all_of_them,
                client.watch(CONFIG_MAPS, "default", label_selector="n in (1, 2)", bookmarks=False) as some_of_them,
            ):
                watchers = ((all_of_them, everything), (some_of_them, selected))
                for index, (verb, name, number) in enumerate(writes):
                    await write(client, verb, name, number)
                    if index < len(reads) and reads[index]:
                        for stream, state in watchers:
                            await follow(stream, state)
                for stream, state in watchers:
                    await follow(stream, state)
            everywhere = (await client.list(CONFIG_MAPS, "default"))["items"]
            matching = (await client.list(CONFIG_MAPS, "default", label_selector="n in (1, 2)"))["items"]
            assert everything == {item["metadata"]["name"]: item for item in everywhere}
            assert selected == {item["metadata"]["name"]: item for item in matching}

    trio.run(main)


async def write(client: Any, verb: str, name: str, number: int) -> None:
    from kubrick_api.errors import StatusError

    try:
        if verb == "put":
            labels = {"n": str(number)}
            await client.create(CONFIG_MAPS, {"metadata": {"name": name, "namespace": "default", "labels": labels}})
        elif verb == "label":
            await client.patch(CONFIG_MAPS, name, {"metadata": {"labels": {"n": str(number)}}}, "default")
        else:
            await client.delete(CONFIG_MAPS, name, "default")
    except StatusError as error:
        if error.code not in (404, 409):
            raise


async def follow(stream: Any, state: dict[str, Any]) -> None:
    """Apply all events there are by now."""
    last = 0
    while True:
        with trio.move_on_after(0.001) as waited:
            events = await stream.receive()
        if waited.cancelled_caught:
            return
        for event in events:
            metadata = event.object["metadata"]
            version = int(metadata["resourceVersion"])
            assert version > last or not last or event.type == "ADDED"
            last = max(last, version)
            name = metadata["name"]
            if event.type == "ADDED":
                assert name not in state
                state[name] = event.object
            elif event.type == "MODIFIED":
                assert name in state
                state[name] = event.object
            else:
                assert state.pop(name)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130])
async def test_lists_of_any_length_are_joined_rightly(web: Any, count: int) -> None:
    await fill(web, count)
    _, found = await web("GET", MAPS)
    assert len(found["items"]) == count
