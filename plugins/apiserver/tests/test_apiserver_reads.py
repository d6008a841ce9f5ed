"""Lists and watches, point by point: the storage tests of apiserver (storage/testing), asked of the API."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing

CORE = "/api/v1/namespaces/default"
MAPS = f"{CORE}/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}
MATCH = "resourceVersionMatch"
POD = {"containers": [{"name": "c", "image": "i"}]}
Object = dict[str, Any]


def config(name: str, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}}


def names(found: Any) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


def token(start: str, revision: int) -> str:
    data = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@asynccontextmanager
async def watching(web: Any, target: str) -> AsyncIterator[Any]:
    """Gives a function that returns the next so many frames."""
    response = await web.respond("GET", target)
    assert response.status == 200
    async with response.body as stream:
        kept: list[Object] = []

        async def told(count: int) -> list[Object]:
            while len(kept) < count:
                piece = await stream.next()
                assert piece, "the watch ended"
                kept.extend(orjson.loads(line) for line in piece.splitlines())
            given, kept[:] = kept[:count], kept[count:]
            return given

        told.stream = stream  # type: ignore[attr-defined]  # for those who want the end
        yield told


def brief(frames: list[Object]) -> list[tuple[str, str]]:
    return [(frame["type"], frame["object"]["metadata"].get("name", "")) for frame in frames]


async def three(web: Any) -> list[int]:
    """a, b and c at three revisions, then an unrelated write; all three revisions and the newest."""
    made = [(await web("POST", MAPS, config(name)))[1] for name in "abc"]
    await web("POST", f"{CORE}/secrets", {"metadata": {"name": "other"}})
    return [int(obj["metadata"]["resourceVersion"]) for obj in made] + [web.registry.bus.revision]


@pytest.mark.parametrize("limit", ["", "&limit=2", "&limit=3", "&limit=9", "&limit=0", "&limit=-1"])
@pytest.mark.parametrize("match", ["", f"&{MATCH}=Exact", f"&{MATCH}=NotOlderThan"])
@pytest.mark.parametrize("version", ["", "0", "old", "newest"])
async def test_every_version_match_and_limit_shows_the_right_moment(
    web: Any, version: str, match: str, limit: str
) -> None:
    revisions = await three(web)
    asked = {"old": str(revisions[1]), "newest": str(revisions[3])}.get(version, version)
    code, found = await web("GET", f"{MAPS}?resourceVersion={asked}{match}{limit}")
    if match and (not asked or (asked == "0" and "Exact" in match)):
        assert (code, found["reason"]) == (422, "Invalid")
        return
    assert code == 200
    many = {"&limit=2": 2}.get(limit, 9)
    exact = "Exact" in match or (not match and limit in ("&limit=2", "&limit=3", "&limit=9"))
    if version == "old" and exact:
        assert found["metadata"]["resourceVersion"] == asked
        assert names(found) == ["a", "b"][:many]
    else:
        assert found["metadata"]["resourceVersion"] == str(revisions[3])
        assert names(found) == ["a", "b", "c"][:many]
    more = len(names(found)) < (2 if version == "old" and exact else 3)
    assert ("continue" in found["metadata"]) is more
    assert found["metadata"].get("remainingItemCount") == (1 if more else None)


@pytest.mark.parametrize("match", ["", f"&{MATCH}=Exact", f"&{MATCH}=NotOlderThan"])
@pytest.mark.parametrize("limit", ["", "&limit=1"])
async def test_the_future_can_not_be_listed(web: Any, match: str, limit: str) -> None:
    current = web.registry.bus.revision
    code, found = await web("GET", f"{MAPS}?resourceVersion={current + 5}{match}{limit}")
    assert (code, found["reason"], found["details"]["retryAfterSeconds"]) == (504, "Timeout", 1)
    assert found["details"]["causes"] == [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]


async def test_an_empty_list_has_the_newest_version_of_all(web: Any) -> None:
    revisions = await three(web)
    _, found = await web("GET", f"{CORE}/podtemplates")
    assert (found["items"], found["metadata"]["resourceVersion"]) == ([], str(revisions[3]))


async def test_a_page_that_is_listed_again_at_its_version_is_the_same(web: Any) -> None:
    await three(web)
    _, first = await web("GET", f"{MAPS}?limit=2")
    await web("DELETE", f"{MAPS}/a")
    version = first["metadata"]["resourceVersion"]
    _, again = await web("GET", f"{MAPS}?limit=2&resourceVersion={version}&{MATCH}=Exact")
    assert again == first
    _, second = await web("GET", f"{MAPS}?limit=2&continue={first['metadata']['continue']}&resourceVersion=0")
    assert names(second) == ["c"]
    assert second["metadata"] == {"resourceVersion": version}


async def test_a_rare_object_is_found_on_one_page(web: Any) -> None:
    for n in range(30):
        await web("POST", MAPS, config(f"m{n:02}", rare="yes" if n == 29 else "no"))
    _, found = await web("GET", f"{MAPS}?limit=1&labelSelector=rare=yes")
    assert names(found) == ["m29"]
    assert found["metadata"].keys() == {"resourceVersion"}


async def test_a_namespace_does_not_list_what_only_begins_like_it(web: Any) -> None:
    await web("POST", "/api/v1/namespaces", {"metadata": {"name": "default-x"}})
    await web("POST", "/api/v1/namespaces/default-x/configmaps", config("there"))
    await web("POST", MAPS, config("here"))
    assert names((await web("GET", MAPS))[1]) == ["here"]
    assert names((await web("GET", f"{MAPS}?fieldSelector=metadata.name%3Dher"))[1]) == []
    _, everywhere = await web("GET", "/api/v1/configmaps?limit=1")
    assert everywhere["metadata"]["remainingItemCount"] == 1
    _, rest = await web("GET", f"/api/v1/configmaps?limit=1&continue={everywhere['metadata']['continue']}")
    assert sorted(names(everywhere) + names(rest)) == ["here", "there"]


async def test_a_token_of_no_version_goes_on_at_the_newest(web: Any) -> None:
    revisions = await three(web)
    _, found = await web("GET", f"{MAPS}?continue={token('a' + chr(0), -1)}&limit=1")
    assert names(found) == ["b"]
    assert found["metadata"]["resourceVersion"] == str(revisions[3])
    await web("DELETE", f"{MAPS}/c")
    _, rest = await web("GET", f"{MAPS}?continue={found['metadata']['continue']}")
    assert names(rest) == ["c"]  # from here on it is one snapshot again


@pytest.mark.parametrize("start", ["..", "a/../b", "./a", "a//b", "a/", "/../a", "../secrets/x", "."])
async def test_a_token_can_not_climb_out_of_its_list(web: Any, start: str) -> None:
    code, refusal = await web("GET", f"{MAPS}?continue={token(start, 1)}")
    assert (code, refusal["message"]) == (400, f"invalid continue token: continue key is not valid: {start}")


async def test_numbers_out_of_range_are_refused(web: Any) -> None:
    for query, parser, long in (
        ("resourceVersion", "ParseUint", "18446744073709551616"),
        ("resourceVersion", "ParseUint", "9" * 4500),
        ("limit", "ParseInt", "9223372036854775808"),
        ("limit", "ParseInt", "9" * 4500),
    ):
        code, refusal = await web("GET", f"{MAPS}?{query}={long}")
        assert code == 400
        assert refusal["message"].endswith(f'strconv.{parser}: parsing "{long}": value out of range')
    code, _ = await web("GET", f"{MAPS}?continue={token('a', 2**63)}")
    assert code == 400


async def forget(web: Any) -> None:
    """Compact all history away."""
    bus = web.registry.bus
    await bus.store.compact(bus.revision)
    bus.topic(b"configmaps/")._feed.restart(bus.revision)


async def test_pages_after_the_inconsistent_one_are_stable(web: Any) -> None:
    for n in range(6):
        await web("POST", MAPS, config(f"m{n}"))
    _, first = await web("GET", f"{MAPS}?limit=2")
    await web("DELETE", f"{MAPS}/m5")
    await forget(web)
    code, gone = await web("GET", f"{MAPS}?limit=2&continue={first['metadata']['continue']}")
    assert code == 410
    _, second = await web("GET", f"{MAPS}?limit=2&continue={gone['metadata']['continue']}")
    assert (names(second), second["metadata"]["remainingItemCount"]) == (["m2", "m3"], 1)
    await web("POST", MAPS, config("m9"))
    _, third = await web("GET", f"{MAPS}?limit=2&continue={second['metadata']['continue']}")
    assert names(third) == ["m4"]
    assert third["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_what_was_compacted_can_not_be_listed_but_zero_and_newer_can(web: Any) -> None:
    revisions = await three(web)
    await forget(web)
    for query in (f"&{MATCH}=Exact", "&limit=1"):
        code, refusal = await web("GET", f"{MAPS}?resourceVersion={revisions[0]}{query}")
        assert (code, refusal["reason"]) == (410, "Expired")
        assert refusal["message"] == "The resourceVersion for the provided list is too old."
    for query in ("resourceVersion=0", f"resourceVersion={revisions[0]}", f"resourceVersion=1&{MATCH}=NotOlderThan"):
        assert names((await web("GET", f"{MAPS}?{query}"))[1]) == ["a", "b", "c"]


# Watches


SEND = f"watch=1&sendInitialEvents=true&{MATCH}=NotOlderThan"
KEEP = f"watch=1&sendInitialEvents=false&{MATCH}=NotOlderThan"
MARKS = "&allowWatchBookmarks=true"


@pytest.mark.parametrize("marks", ["", MARKS])
@pytest.mark.parametrize(
    ("query", "version", "begins"),
    [
        ("watch=1", "", "abc"),
        ("watch=1", "0", "abc"),
        ("watch=1", "first", "bc"),
        ("watch=1", "current", ""),
        (SEND, "", "abc"),
        (SEND, "0", "abc"),
        (SEND, "first", "abc"),
        (SEND, "current", "abc"),
        (KEEP, "", ""),
        (KEEP, "0", ""),
        (KEEP, "first", "bc"),
        (KEEP, "current", ""),
    ],
)
async def test_where_a_watch_begins(web: Any, query: str, version: str, begins: str, marks: str) -> None:
    revisions = await three(web)
    asked = {"first": str(revisions[0]), "current": str(revisions[3])}.get(version, version)
    async with watching(web, f"{MAPS}?{query}{marks}&resourceVersion={asked}") as told:
        expected = [("ADDED", name) for name in begins]
        assert brief(await told(len(begins))) == expected
        if query == SEND and marks:
            (mark,) = await told(1)
            assert mark["type"] == "BOOKMARK"
            assert mark["object"]["metadata"] == {
                "resourceVersion": str(revisions[3]),  # of everything, not of the last object that matched
                "annotations": {"k8s.io/initial-events-end": "true"},
            }
        await web("POST", MAPS, config("z"))
        assert brief(await told(1)) == [("ADDED", "z")]


async def test_a_watch_list_of_one_name_ends_at_the_newest_version(web: Any) -> None:
    revisions = await three(web)
    async with watching(web, f"{MAPS}?{SEND}{MARKS}&fieldSelector=metadata.name%3Db") as told:
        added, mark = await told(2)
        assert brief([added]) == [("ADDED", "b")]
        assert mark["object"]["metadata"]["resourceVersion"] == str(revisions[3])
        await web("PATCH", f"{MAPS}/c", {"data": {"x": "y"}}, MERGE)
        await web("PATCH", f"{MAPS}/b", {"data": {"x": "y"}}, MERGE)
        assert brief(await told(1)) == [("MODIFIED", "b")]


async def test_initial_events_of_the_future_are_an_error_in_the_stream(web: Any) -> None:
    current = web.registry.bus.revision
    async with watching(web, f"{MAPS}?{SEND}{MARKS}&resourceVersion={current + 7}") as told:
        (error,) = await told(1)
        assert error["type"] == "ERROR"
        assert (error["object"]["code"], error["object"]["reason"]) == (504, "Timeout")
        assert await told.stream.next() == b""


@pytest.mark.parametrize("query", ["resourceVersion=0", "", f"sendInitialEvents=true&{MATCH}=NotOlderThan"])
async def test_a_watch_of_the_state_works_after_compaction(web: Any, query: str) -> None:
    await three(web)
    await forget(web)
    async with watching(web, f"{MAPS}?watch=1&{query}") as told:
        assert brief(await told(3)) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


async def test_nothing_follows_an_error(web: Any) -> None:
    await three(web)
    await forget(web)
    async with watching(web, f"{MAPS}?watch=1&resourceVersion=1{MARKS}") as told:
        (error,) = await told(1)
        assert (error["type"], error["object"]["code"]) == ("ERROR", 410)
        await web("POST", MAPS, config("z"))
        assert await told.stream.next() == b""


async def test_bookmarks_never_go_back_and_lie_between_the_events(
    web: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async with watching(web, f"{MAPS}?watch=1{MARKS}&timeoutSeconds=600") as told:
        last = 0
        for n in range(8):
            await web("POST", MAPS, config(f"m{n}"))
            await web("POST", f"{CORE}/secrets", {"metadata": {"name": f"s{n}"}})
            added, mark = await told(2)
            assert (added["type"], mark["type"]) == ("ADDED", "BOOKMARK")
            assert mark["object"].keys() == {"kind", "apiVersion", "metadata"}
            versions = [int(frame["object"]["metadata"]["resourceVersion"]) for frame in (added, mark)]
            assert last < versions[0] < versions[1] == web.registry.bus.revision
            last = versions[1]


async def test_a_watch_of_no_time_ends_at_once_and_of_negative_time_too(
    web: Any, autojump_clock: trio.testing.MockClock
) -> None:
    for seconds in (1, -5):
        start = trio.current_time()
        async with watching(
            web, f"{MAPS}?watch=1&timeoutSeconds={seconds}&resourceVersion={web.registry.bus.revision}"
        ) as told:
            assert await told.stream.next() == b""
        assert trio.current_time() - start <= 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/watch/configmaps", ["here", "there"]),
        ("/api/v1/watch/namespaces/default/configmaps", ["here"]),
        ("/api/v1/watch/namespaces/default/configmaps/here", ["here"]),
        ("/api/v1/watch/namespaces/other/configmaps/there", ["there"]),
        ("/api/v1/watch/namespaces/other", ["other"]),
    ],
)
async def test_the_old_paths_of_watches(web: Any, path: str, expected: list[str]) -> None:
    await web("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    await web("POST", "/api/v1/namespaces/other/configmaps", config("there"))
    await web("POST", MAPS, config("here"))
    async with watching(web, path) as told:
        assert brief(await told(len(expected))) == [("ADDED", name) for name in expected]


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        (f"{MATCH}=NotOlderThan", MATCH, f"{MATCH} is forbidden for watch unless sendInitialEvents is provided"),
        ("sendInitialEvents=false", MATCH, f"sendInitialEvents requires setting {MATCH} to NotOlderThan"),
        (f"{SEND}&continue=x", MATCH, f"{MATCH} is forbidden when continue is provided"),
    ],
)
async def test_combinations_that_no_watch_may_have(web: Any, query: str, field: str, message: str) -> None:
    code, refusal = await web("GET", f"{MAPS}?watch=1&{query}")
    assert code == 422
    assert {"reason": "FieldValueForbidden", "message": f"Forbidden: {message}", "field": field} in refusal["details"][
        "causes"
    ]


async def test_a_list_may_not_ask_for_initial_events(web: Any) -> None:
    for value in ("true", "false"):
        code, refusal = await web("GET", f"{MAPS}?sendInitialEvents={value}")
        assert code == 422
        assert refusal["message"] == (
            'ListOptions.meta.k8s.io "" is invalid: '
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"
        )


# Field selectors

INVOLVED = {"kind": "Pod", "namespace": "default", "name": "p", "uid": "u", "apiVersion": "v1", "fieldPath": "spec"}
SELECTABLE: list[tuple[str, Object, dict[str, str]]] = [
    (
        f"{CORE}/pods",
        {"spec": {**POD, "nodeName": "n1", "restartPolicy": "Never", "schedulerName": "mine", "hostNetwork": True}},
        {
            "spec.nodeName": "n1",
            "spec.host": "n1",
            "spec.restartPolicy": "Never",
            "spec.schedulerName": "mine",
            "spec.serviceAccountName": "default",
            "spec.hostNetwork": "true",
            "status.phase": "Pending",
            "status.podIP": "",
            "status.nominatedNodeName": "",
        },
    ),
    ("/api/v1/nodes", {"spec": {"unschedulable": True}}, {"spec.unschedulable": "true"}),
    (
        f"{CORE}/replicationcontrollers",
        {"spec": {"selector": {"a": "b"}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}},
        {"status.replicas": "0"},
    ),
    (
        f"{CORE}/events",
        {
            "involvedObject": {**INVOLVED, "resourceVersion": "7"},
            "reason": "Failed",
            "source": {"component": "kubelet"},
            "type": "Warning",
            "reportingComponent": "r",
        },
        {
            **{f"involvedObject.{name}": value for name, value in INVOLVED.items()},
            "involvedObject.resourceVersion": "7",
            "reason": "Failed",
            "source": "kubelet",
            "type": "Warning",
            "reportingComponent": "r",
        },
    ),
    ("/api/v1/namespaces", {}, {"status.phase": "Active"}),
    (f"{CORE}/secrets", {"type": "mine/own"}, {"type": "mine/own"}),
    (f"{CORE}/services", {"spec": {"clusterIP": "None"}}, {"spec.clusterIP": "None", "spec.type": "ClusterIP"}),
    (
        "/apis/batch/v1/namespaces/default/jobs",
        {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}},
        {"status.successful": "0"},
    ),
    (
        "/apis/resource.k8s.io/v1/resourceslices",
        {
            "spec": {
                "driver": "example.com",
                "nodeName": "n1",
                "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "d"}],
            }
        },
        {"spec.nodeName": "n1", "spec.driver": "example.com"},
    ),
]
OTHER_WORDS = {
    "jobs": 'field label "spec.x" not supported for batchv1.Job',
    "resourceslices": "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.x",
}


@pytest.mark.parametrize(("path", "content", "fields"), SELECTABLE, ids=lambda each: str(each).rpartition("/")[2][:20])
async def test_objects_are_selected_by_their_fields(
    web: Any, path: str, content: Object, fields: dict[str, str]
) -> None:
    code, made = await web("POST", path, {"metadata": {"name": "it"}, **content})
    assert code == 201, made
    cluster_wide = "/namespaces/" not in path
    known = {"metadata.name": "it", **({} if cluster_wide else {"metadata.namespace": "default"}), **fields}
    for name, value in known.items():
        for sign, other, expected in (("=", value, True), ("==", value, True), ("!=", value, False), ("=", "-", False)):
            code, found = await web("GET", f"{path}?fieldSelector={name}{sign.replace('=', '%3D')}{other}")
            assert code == 200, found
            assert ("it" in names(found)) is expected, (name, sign, other)
    code, refusal = await web("GET", f"{path}?fieldSelector=spec.x%3D1")
    kind = path.rpartition("/")[2]
    assert (code, refusal["message"]) == (400, OTHER_WORDS.get(kind, "field label not supported: spec.x"))
    if cluster_wide:
        assert (await web("GET", f"{path}?fieldSelector=metadata.namespace%3Dx"))[0] == 400


async def test_an_object_enters_and_leaves_a_selection_of_fields(web: Any) -> None:
    async with watching(web, "/api/v1/nodes?watch=1&fieldSelector=spec.unschedulable%3Dtrue") as told:
        await web("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
        for unschedulable in (True, None, True):
            await web("PATCH", "/api/v1/nodes/n", {"spec": {"unschedulable": unschedulable}}, MERGE)
        await web("DELETE", "/api/v1/nodes/n")
        frames = await told(4)
        assert [frame["type"] for frame in frames] == ["ADDED", "DELETED", "ADDED", "DELETED"]
        assert frames[1]["object"]["spec"]["unschedulable"] is True  # its last state that matched...
        versions = [int(frame["object"]["metadata"]["resourceVersion"]) for frame in frames]
        assert versions == sorted(set(versions))  # ... at the revision of what took it out


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", []),
        ("?labelSelector=app%3Dweb", ["b", "c"]),
        ("?labelSelector=app+notin+(web)", ["a"]),
        ("?fieldSelector=metadata.name%3Dc", ["a", "b"]),
        ("?fieldSelector=metadata.name!%3Dc", ["c"]),
        ("?labelSelector=app%3Ddb&fieldSelector=metadata.name%3Dc", ["a", "b"]),
        ("?limit=2", ["c"]),
        ("?dryRun=All", ["a", "b", "c"]),
    ],
)
async def test_a_collection_is_deleted_as_far_as_it_is_selected(web: Any, query: str, left: list[str]) -> None:
    for name, app in (("a", "web"), ("b", "db"), ("c", "db")):
        await web("POST", MAPS, config(name, app=app))
    code, answer = await web("DELETE", f"{MAPS}{query}")
    assert (code, answer["kind"]) == (200, "ConfigMapList")
    assert names((await web("GET", MAPS))[1]) == left
    if "dryRun" not in query:
        assert sorted(names(answer) + left) == ["a", "b", "c"]


async def test_a_collection_that_is_refused_stays(web: Any) -> None:
    await three(web)
    for query in ("?labelSelector=a+in+(", "?fieldSelector=spec.x%3D1", f"?{MATCH}=Exact", "?limit=x"):
        assert (await web("DELETE", f"{MAPS}{query}"))[0] in (400, 422)
    assert names((await web("GET", MAPS))[1]) == ["a", "b", "c"]
