"""Each rule of core events, old and new, and exactly what is said."""

from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.validation import qualified_name
from kubrick_api_core.events import EventStrategy

Object = dict[str, Any]
NEW: Object = {
    "metadata": {"name": "e", "namespace": "a"},
    "involvedObject": {"namespace": "a"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingComponent": "a.io/c",
    "reportingInstance": "c-1",
    "action": "Did",
    "reason": "Because",
}
MISMATCH = "does not match event.namespace"


def said(event: Object) -> list[str]:
    return [str(error) for error in EventStrategy().validate(event)]


@pytest.mark.parametrize(
    ("namespace", "involved", "old", "new"),
    [
        ("a", "a", True, True),
        ("a", "b", False, True),
        ("a", "", False, False),
        ("default", "", True, True),
        ("default", "b", False, True),
        ("kube-system", "", False, True),
    ],
)
def test_an_event_is_where_its_object_is(namespace: str, involved: str, old: bool, new: bool) -> None:
    """Old events are without eventTime; those of objects that are in no namespace have places of their own."""
    event = {"metadata": {"name": "e", "namespace": namespace}, "involvedObject": {"namespace": involved}}
    wanted = [f'involvedObject.namespace: Invalid value: "{involved}": {MISMATCH}']
    assert said(event) == ([] if old else wanted)
    assert said({**NEW, **event}) == ([] if new else wanted)


EMPTY = [f'reportingComponent: Invalid value: "": {why}' for why in qualified_name("")]


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        ({"reportingComponent": ""}, ["reportingComponent: Required value", *EMPTY]),
        (
            {"reportingComponent": "-"},
            [f'reportingComponent: Invalid value: "-": {why}' for why in qualified_name("-")],
        ),
        ({"reportingInstance": ""}, ["reportingInstance: Required value"]),
        ({"reportingInstance": "x" * 128, "action": "x" * 128, "reason": "x" * 128, "message": "x" * 1024}, []),
        (
            {"reportingInstance": "x" * 129},
            ['reportingInstance: Invalid value: "": can have at most 128 characters'],
        ),
        ({"action": None}, ["action: Required value"]),
        ({"action": "x" * 129}, ['action: Invalid value: "": can have at most 128 characters']),
        ({"reason": None}, ["reason: Required value"]),
        ({"reason": "ä" * 65}, ['reason: Invalid value: "": can have at most 128 characters']),
        ({"message": "x" * 1025}, ['message: Invalid value: "": can have at most 1024 characters']),
        ({"type": "Odd", "series": {"count": 0}, "count": 7, "source": {"host": "h"}}, []),
    ],
)
def test_a_new_event_in_core(patch: Object, wrong: list[str]) -> None:
    assert said(json_merge(NEW, patch)) == wrong


def test_an_old_event_says_what_it_likes() -> None:
    old = {"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "a"}, "reason": "x" * 999, "type": "Odd"}
    assert said(old) == []
