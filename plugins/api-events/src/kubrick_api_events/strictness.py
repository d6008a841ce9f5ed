"""What events.k8s.io asks beyond core: no fields of the old API, whole series, and no change of what happened.
Objects are seen as core events, and errors quote Kubernetes' internal types, whose fields have their names in Go.
From pkg/apis/core/validation/events.go."""

from collections.abc import Iterator
from typing import Any

from kubrick_api.equality import same
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE
from kubrick_api_core.internal import Shape, internal

Errors = Iterator[FieldError]

UNSET = "needs to be unset"
REFERENCE: Shape = {
    "Kind": ("kind", ""),
    "Namespace": ("namespace", ""),
    "Name": ("name", ""),
    "UID": ("uid", ""),
    "APIVersion": ("apiVersion", ""),
    "ResourceVersion": ("resourceVersion", ""),
    "FieldPath": ("fieldPath", ""),
}
SOURCE: Shape = {"Component": ("component", ""), "Host": ("host", "")}
FIXED: tuple[tuple[str, Any], ...] = (
    ("involvedObject", REFERENCE),
    ("reason", ""),
    ("message", ""),
    ("source", SOURCE),
    ("firstTimestamp", None),
    ("lastTimestamp", None),
    ("count", 0),
    ("reason", ""),  # Kubernetes says it twice
    ("type", ""),
    ("eventTime", None),
    ("action", ""),
    ("related", REFERENCE),
    ("reportingComponent", ""),
    ("reportingInstance", ""),
)
"""What doesn't change, in the order of the complaints: the shape of a struct, or what Go shows of an absent value."""
REPORTER = "reportingController"
"""What this API calls core's reportingComponent."""


def strict(event: Object) -> Errors:
    yield from _series(event)
    if not event.get("eventTime"):
        yield required("eventTime")
    kind = event.get("type") or ""
    if kind not in ("Normal", "Warning"):
        yield invalid_value("type", "", f"has invalid value: {kind}")
    for name in ("firstTimestamp", "lastTimestamp", "count"):
        if event.get(name):
            yield invalid_value(name, "", UNSET)
    source = event.get("source") or {}
    if source.get("component") or source.get("host"):
        yield invalid_value("source", "", UNSET)


def _series(event: Object) -> Errors:
    series = event.get("series")
    if series is None:
        return
    if (series.get("count") or 0) < 2:
        yield invalid_value("series.count", "", "should be at least 2")
    if not series.get("lastObservedTime"):
        yield required("series.lastObservedTime")


def changed(event: Object, old: Object) -> Errors:
    if event.get("series") != old.get("series"):
        yield from _series(event)
    for name, shape in FIXED:
        value = event.get(name)
        if not same(value or None, old.get(name) or None):  # no count is a count of 0
            path = REPORTER if name == "reportingComponent" else name
            yield invalid_value(path, _shown(value, shape, name != "related"), IMMUTABLE)


def _shown(value: Any, shape: Any, whole: bool) -> Any:
    """`whole`: a struct that isn't there is shown with nothing in it."""
    if isinstance(shape, dict):
        return internal({} if value is None and whole else value, shape)
    return shape if value is None else value
