"""What may be changed of an event through either API, and how client-go's recorders count repetitions."""

from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.merge import json_merge
from kubrick_api_core import EVENTS as CORE_EVENTS
from kubrick_api_core.events import EventStrategy
from kubrick_api_events import EVENTS
from kubrick_api_events.conversion import from_core, to_core
from kubrick_api_events.group import NewEventStrategy
from kubrick_testing import Cluster, run_cluster

Object = dict[str, Any]
TIME, LATER = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:01.000000Z"
EVENT: Object = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "e", "namespace": "default"},
    "regarding": {"kind": "Pod", "namespace": "default", "name": "web"},
    "eventTime": TIME,
    "reportingController": "a.io/c",
    "reportingInstance": "c-1",
    "action": "Did",
    "reason": "Because",
    "type": "Normal",
    "note": "well",
}
OLD: Object = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "old", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"},
    "source": {"component": "kubelet", "host": "n1"},
    "reason": "Pulled",
    "message": "pulled",
    "firstTimestamp": "2026-01-01T00:00:00Z",
    "lastTimestamp": "2026-01-01T00:00:00Z",
    "count": 1,
    "type": "Normal",
}
IMMUTABLE = "field is immutable"
REFERENCE = '"UID":"","APIVersion":"","ResourceVersion":"","FieldPath":""}'


def again(count: int) -> Object:
    return {"series": {"count": count, "lastObservedTime": LATER}}


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        (again(2), []),
        ({"metadata": {"labels": {"a": "b"}}}, []),
        (
            {"series": {"count": 1, "lastObservedTime": LATER}},
            ['series.count: Invalid value: "": should be at least 2'],
        ),
        ({"series": {"count": 2}}, ["series.lastObservedTime: Required value"]),
        (
            {"regarding": {"name": "other"}},
            [
                'involvedObject: Invalid value: {"Kind":"Pod","Namespace":"default","Name":"other",'
                f"{REFERENCE}: {IMMUTABLE}"
            ],
        ),
        ({"reason": "x"}, [f'reason: Invalid value: "x": {IMMUTABLE}'] * 2),
        ({"note": None}, [f'message: Invalid value: "": {IMMUTABLE}']),
        (
            {"deprecatedSource": {"host": "n1"}},
            [f'source: Invalid value: {{"Component":"","Host":"n1"}}: {IMMUTABLE}'],
        ),
        (
            {"deprecatedFirstTimestamp": "2026-01-01T00:00:00Z"},
            [f'firstTimestamp: Invalid value: "2026-01-01T00:00:00Z": {IMMUTABLE}'],
        ),
        (
            {"deprecatedLastTimestamp": "2026-01-01T00:00:00Z"},
            [f'lastTimestamp: Invalid value: "2026-01-01T00:00:00Z": {IMMUTABLE}'],
        ),
        ({"deprecatedCount": 1}, [f"count: Invalid value: 1: {IMMUTABLE}"]),
        ({"deprecatedCount": 0}, []),
        ({"type": "Odd"}, [f'type: Invalid value: "Odd": {IMMUTABLE}']),
        ({"eventTime": LATER}, [f'eventTime: Invalid value: "{LATER}": {IMMUTABLE}']),
        ({"action": "x"}, [f'action: Invalid value: "x": {IMMUTABLE}']),
        (
            {"related": {"kind": "Node", "name": "n1"}},
            [f'related: Invalid value: {{"Kind":"Node","Namespace":"","Name":"n1",{REFERENCE}: {IMMUTABLE}'],
        ),
        ({"reportingController": "b"}, [f'reportingController: Invalid value: "b": {IMMUTABLE}']),
        (
            {"reportingInstance": ""},
            ["reportingInstance: Required value", f'reportingInstance: Invalid value: "": {IMMUTABLE}'],
        ),
    ],
)
def test_of_a_new_event_only_its_series_goes_on(patch: Object, wrong: list[str]) -> None:
    errors = NewEventStrategy().validate_replacement(json_merge(EVENT, patch), EVENT)
    assert [str(error) for error in errors] == wrong


def test_a_series_ends_unseen() -> None:
    assert NewEventStrategy().validate_replacement(EVENT, {**EVENT, **again(3)}) == []


def test_an_old_event_is_labelled_through_the_new_api() -> None:
    old = from_core(OLD)
    assert NewEventStrategy().validate(old) != []
    labelled = json_merge(old, {"metadata": {"labels": {"a": "b"}}})
    assert NewEventStrategy().validate_metadata_update(labelled, old) == []
    assert NewEventStrategy().validate_replacement(json_merge(labelled, again(2)), old) == []


@pytest.mark.parametrize(
    "patch", [{"count": 9, "message": "pulled again"}, {"reason": "Other"}, {"series": {"count": 1}}, {"type": "Odd"}]
)
def test_an_event_changes_as_it_likes_through_core(patch: Object) -> None:
    assert EventStrategy().validate_replacement(json_merge(OLD, patch), OLD) == []


def test_each_api_has_its_name_for_who_reports() -> None:
    nobody = {**EVENT, "reportingController": ""}
    assert {error.field for error in NewEventStrategy().validate(nobody)} == {"reportingController"}
    assert {error.field for error in EventStrategy().validate(to_core(nobody))} == {"reportingComponent"}


async def refused(call: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await call
    return caught.value


async def test_client_gos_recorders_count_repetitions() -> None:
    """tools/events patches the series; tools/record patches count, time and message."""
    async with run_cluster("api") as cluster:
        await counted_by_series(cluster)
        await counted_by_count(cluster)


async def counted_by_series(cluster: Cluster) -> None:
    client = cluster.client
    await client.create(EVENTS, EVENT, "default")
    for count in (2, 3):
        await client.patch(EVENTS, "e", again(count), "default", kind="strategic")
    seen = await client.get(CORE_EVENTS, "e", "default")
    assert seen["series"] == {"count": 3, "lastObservedTime": LATER}
    assert (seen["message"], seen["reportingComponent"], seen["source"]) == ("well", "a.io/c", {})
    assert (await client.get(EVENTS, "e", "default"))["series"] == seen["series"]
    error = await refused(client.patch(EVENTS, "e", again(1), "default", kind="strategic"))
    assert (error.code, error.message) == (
        422,
        'Event.events.k8s.io "e" is invalid: series.count: Invalid value: "": should be at least 2',
    )
    error = await refused(client.patch(EVENTS, "e", {"reason": "x"}, "default", kind="strategic"))
    assert error.message == f'Event.events.k8s.io "e" is invalid: reason: Invalid value: "x": {IMMUTABLE}'
    await client.patch(EVENTS, "e", {"series": None}, "default")
    assert "series" not in await client.get(CORE_EVENTS, "e", "default")


async def counted_by_count(cluster: Cluster) -> None:
    client = cluster.client
    await client.create(CORE_EVENTS, OLD, "default")
    patch = {"count": 2, "lastTimestamp": "2026-01-01T00:01:00Z", "message": "pulled again"}
    await client.patch(CORE_EVENTS, "old", patch, "default", kind="strategic")
    seen = await client.get(EVENTS, "old", "default")
    assert (seen["deprecatedCount"], seen["deprecatedLastTimestamp"], seen["note"]) == (2, *list(patch.values())[1:])
    assert seen["deprecatedSource"] == OLD["source"]
    await client.patch(EVENTS, "old", {"metadata": {"labels": {"a": "b"}}}, "default")
    again_core = await client.get(CORE_EVENTS, "old", "default")
    assert (again_core["count"], again_core["metadata"]["labels"]) == (2, {"a": "b"})
