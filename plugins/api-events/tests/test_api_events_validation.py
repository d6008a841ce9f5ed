"""What events.k8s.io asks beyond core, and that both spellings say the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.merge import json_merge
from kubrick_api_events.conversion import FROM_CORE, TO_CORE, from_core, to_core
from kubrick_api_events.group import NewEventStrategy

Object = dict[str, Any]
EVENT: Object = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "e", "namespace": "default"},
    "regarding": {"namespace": "default"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "a.io/c",
    "reportingInstance": "c-1",
    "action": "Did",
    "reason": "Because",
    "type": "Normal",
}


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        ({"eventTime": None}, ["eventTime: Required value"]),
        (
            {"type": "x", "deprecatedCount": 1, "deprecatedSource": {"host": "h"}, "deprecatedFirstTimestamp": "t"},
            [
                'type: Invalid value: "": has invalid value: x',
                'firstTimestamp: Invalid value: "": needs to be unset',
                'count: Invalid value: "": needs to be unset',
                'source: Invalid value: "": needs to be unset',
            ],
        ),
        (
            {"series": {"count": 1}},
            [
                'series.count: Invalid value: "": should be at least 2',
                "series.lastObservedTime: Required value",
            ],
        ),
    ],
)
def test_a_new_event(patch: Object, wrong: list[str]) -> None:
    assert [str(error) for error in NewEventStrategy().validate(json_merge(EVENT, patch))] == wrong


def test_of_an_event_only_its_series_goes_on() -> None:
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    assert NewEventStrategy().validate_replacement(json_merge(EVENT, series), EVENT) == []
    changed = NewEventStrategy().validate_replacement(
        json_merge(EVENT, {"note": "n", "reportingController": "b", "series": {"count": 1}}), EVENT
    )
    assert [str(error) for error in changed] == [
        'series.count: Invalid value: "": should be at least 2',
        "series.lastObservedTime: Required value",
        'message: Invalid value: "n": field is immutable',
        'reportingController: Invalid value: "b": field is immutable',
    ]


values = st.one_of(
    st.text(max_size=5), st.integers(), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
)
kept = st.sampled_from(["metadata", "eventTime", "series", "action", "reason", "related", "type", "reportingInstance"])


@given(st.dictionaries(kept | st.sampled_from(sorted(TO_CORE)), values))
def test_core_loses_nothing(fields: Object) -> None:
    event = {"apiVersion": "events.k8s.io/v1", "kind": "Event", **fields}
    assert from_core(to_core(event)) == event


@given(st.dictionaries(kept | st.sampled_from(sorted(FROM_CORE)), values))
def test_the_new_spelling_loses_nothing(fields: Object) -> None:
    event = {"apiVersion": "v1", "kind": "Event", **fields}
    assert to_core(from_core(event)) == event
