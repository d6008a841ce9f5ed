"""events.k8s.io/v1 ↔ core/v1 events: one storage, two spellings (pkg/apis/events/v1/conversion.go)."""

from typing import Any

Object = dict[str, Any]

# events.k8s.io's field → the core field; the rest is spelled alike.
TO_CORE = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
FROM_CORE = {core: new for new, core in TO_CORE.items()}


def to_core(obj: Object) -> Object:
    return {**{TO_CORE.get(name, name): value for name, value in obj.items()}, "apiVersion": "v1"}


def from_core(obj: Object) -> Object:
    return {**{FROM_CORE.get(name, name): value for name, value in obj.items()}, "apiVersion": "events.k8s.io/v1"}
