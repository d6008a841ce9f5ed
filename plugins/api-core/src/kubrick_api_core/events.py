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
from kubrick_api.validation import qualified_name, subdomain

TTL = 3600.0
NEW_LIMITS = {"reason": 128, "action": 128, "reportingInstance": 128}
NOTE_LIMIT = 1024


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

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate(obj)

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


def validate_event(event: Object, reporter: str = "reportingComponent") -> Iterator[FieldError]:
    """The rules of every event; those of events.k8s.io/v1 say more (in that brick). `reporter` is what the API
    that was asked calls the one who reports."""
    involved = event.get("involvedObject") or {}
    namespace, own = involved.get("namespace") or "", event["metadata"].get("namespace") or ""
    mismatch = invalid_value("involvedObject.namespace", namespace, "does not match event.namespace")
    if not event.get("eventTime"):
        # Cluster-scoped objects' events are kept in "default".
        if own != namespace and (namespace or own not in ("", "default")):
            yield mismatch
    else:
        # New ones may be in kube-system, too.
        if not namespace and own not in ("default", "kube-system"):
            yield mismatch
        controller = event.get("reportingComponent") or ""
        if not controller:
            yield required(reporter)
        for why in qualified_name(controller):
            yield invalid_value(reporter, controller, why)
        for name in ("reportingInstance", "action", "reason"):
            if not event.get(name):
                yield required(name)
            if _size(event.get(name)) > NEW_LIMITS[name]:
                yield invalid_value(name, "", f"can have at most {NEW_LIMITS[name]} characters")
        if _size(event.get("message")) > NOTE_LIMIT:
            yield invalid_value("message", "", f"can have at most {NOTE_LIMIT} characters")
    for why in subdomain(own):
        yield invalid_value("namespace", own, why)


def _size(text: str | None) -> int:
    """In bytes, which is what Kubernetes counts."""
    return len((text or "").encode())


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
