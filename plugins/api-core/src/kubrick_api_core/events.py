"""Events: what happened to objects. They live for an hour.

The API group events.k8s.io serves the same events in another shape; the conversion is in that brick.
From pkg/apis/core/validation/events.go and the printer.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import UNKNOWN, since
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object, Strategy

TTL = 3600.0
NEW_LIMITS = {"reason": 128, "action": 128, "reportingInstance": 128}


class EventStrategy(Strategy):
    allow_create_on_update = True
    event_ttl = TTL

    def default(self, obj: Object) -> None:
        for name in ("involvedObject", "source"):
            if obj.get(name) is None:
                obj[name] = {}
        for name in ("reportingComponent", "reportingInstance"):
            obj.setdefault(name, "")

    def validate(self, obj: Object) -> list[FieldError]:
        return list(validate_event(obj))

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        involved, source = obj.get("involvedObject") or {}, obj.get("source") or {}
        fields = {
            f"involvedObject.{name}": involved.get(name) or ""
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        }
        return {
            **fields,
            "reason": obj.get("reason") or "",
            "reportingComponent": obj.get("reportingComponent") or "",
            "source": source.get("component") or obj.get("reportingComponent") or "",
            "type": obj.get("type") or "",
        }

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return event_row(obj, now)


def validate_event(event: Object) -> Iterator[FieldError]:
    """The namespace must be the involved object's; new-style events (with eventTime) say more."""
    involved = event.get("involvedObject") or {}
    namespace, own = involved.get("namespace") or "", event["metadata"].get("namespace") or ""
    if not namespace:
        # Cluster-scoped objects' events are kept in "default" (new ones may be in kube-system, too).
        if own not in ("", "default", "kube-system"):
            yield invalid_value("involvedObject.namespace", namespace, "does not match event.namespace")
    elif namespace != own:
        yield invalid_value("involvedObject.namespace", namespace, "does not match event.namespace")
    if not event.get("eventTime"):
        return
    for name in ("reportingComponent", "reportingInstance", "action", "reason"):
        if not event.get(name):
            yield required("reportingController" if name == "reportingComponent" else name)
    for name, limit in NEW_LIMITS.items():
        if len(event.get(name) or "") > limit:
            yield invalid_value(name, "", f"can have at most {limit} characters")
    if event.get("type") not in ("Normal", "Warning"):
        yield invalid_value("type", event.get("type") or "", 'has invalid value: "Normal" or "Warning" expected')


def event_row(event: Object, now: datetime) -> list[Any]:
    """Last Seen, Type, Reason, Object, Subobject, Source, Message, First Seen, Count, Name."""
    first = since(event.get("firstTimestamp") or event.get("eventTime"), now)
    last = since(event["lastTimestamp"], now) if event.get("lastTimestamp") else first
    count, series = event.get("count") or 1, event.get("series")
    if series is not None:
        last, count = since(series.get("lastObservedTime"), now), series.get("count") or 0
    involved, source = event.get("involvedObject") or {}, event.get("source") or {}
    kind = (involved.get("kind") or "").lower()
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return [
        last or UNKNOWN,
        event.get("type") or "",
        event.get("reason") or "",
        f"{kind}/{involved['name']}" if involved.get("name") else kind,
        involved.get("fieldPath") or "",
        ", ".join(part for part in (component, host) if part),
        (event.get("message") or "").strip(),
        first,
        str(count),
        event["metadata"]["name"],
    ]
