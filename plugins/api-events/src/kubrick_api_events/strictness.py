"""What events.k8s.io asks beyond core: no fields of the old API, whole series, and no change of what happened.
Objects are seen as core events. From pkg/apis/core/validation/events.go."""

from collections.abc import Iterable, Iterator

from kubrick_api.equality import same
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE

Errors = Iterator[FieldError]

UNSET = "needs to be unset"
FIXED = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)
REPORTER = {"reportingComponent": "reportingController"}


def legacy_errors(errors: Iterable[FieldError]) -> list[FieldError]:
    """Core's own complaints, but for that of the type, which the strict rules put in other words."""
    return [error for error in errors if error.field != "type"]


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
    if not same(event.get("series"), old.get("series")):
        yield from _series(event)
    for name in FIXED:
        if not same(event.get(name), old.get(name)):
            yield invalid_value(REPORTER.get(name, name), event.get(name), IMMUTABLE)
