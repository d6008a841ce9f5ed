"""Tables and ages."""

from datetime import UTC, datetime

import pytest

from kubrick_api.names import GVK, GVR
from kubrick_api.resource import Resource
from kubrick_api.table import Table, human_duration, partial_metadata

THINGS = Resource(GVR("example.com", "v1", "things"), GVK("example.com", "v1", "Thing"), True, (), "thing", "x")
NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
OBJ = {"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (3600 * 3 - 1, "179m"),
        (3600 * 3, "3h"),
        (3600 * 7 + 60, "7h1m"),
        (3600 * 47, "47h"),
        (3600 * 48, "2d"),
        (3600 * 49, "2d1h"),
        (86400 * 8, "8d"),
        (86400 * 729, "729d"),
        (86400 * 730, "2y"),
        (86400 * 731, "2y1d"),
        (86400 * 365 * 8, "8y"),
    ],
)
def test_durations_read_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_a_table_has_columns_cells_and_partial_objects() -> None:
    table = Table(THINGS).build([OBJ], NOW, {"resourceVersion": "5"})
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]
    assert all(column["description"] for column in table["columnDefinitions"])
    assert table["rows"][0]["cells"] == ["a", "60m"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["metadata"] == {"resourceVersion": "5"}


def test_a_table_includes_what_was_asked_for() -> None:
    assert "object" not in Table(THINGS, "None").row(OBJ, NOW)
    assert Table(THINGS, "Object").row(OBJ, NOW)["object"] is OBJ


def test_later_tables_of_a_watch_leave_the_columns_out() -> None:
    assert Table(THINGS).build([OBJ], NOW, first=False)["columnDefinitions"] == []


def test_partial_metadata_carries_metadata_only() -> None:
    expected = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": OBJ["metadata"]}
    assert partial_metadata(OBJ) == expected
