"""One event under two API groups."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubrick_api_core import EVENTS as CORE_EVENTS
from kubrick_api_events import EVENTS
from kubrick_api_events.conversion import FROM_CORE, from_core, to_core
from kubrick_testing import run_cluster

NAMES = st.sampled_from([*FROM_CORE, "reason", "type", "action", "eventTime", "series", "metadata"])


@given(st.dictionaries(NAMES, st.text()))
def test_conversion_loses_nothing(fields: dict[str, Any]) -> None:
    event = {**fields, "apiVersion": "v1"}
    assert to_core(from_core(event)) == event


async def test_an_event_written_in_one_group_is_read_in_the_other() -> None:
    async with run_cluster("api") as cluster:
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "e"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "example.com/tester",
            "reportingInstance": "tester-1",
            "action": "Testing",
            "reason": "Tested",
            "type": "Normal",
            "note": "well",
            "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
        }
        await cluster.client.create(EVENTS, event, "default")
        core = await cluster.client.get(CORE_EVENTS, "e", "default")
        assert (core["apiVersion"], core["message"], core["involvedObject"]["name"]) == ("v1", "well", "web")
        found = await cluster.client.list(EVENTS, "default", field_selector="regarding.name=web")
        assert [item["note"] for item in found["items"]] == ["well"]
        found = await cluster.client.list(CORE_EVENTS, "default", field_selector="involvedObject.name=other")
        assert found["items"] == []
