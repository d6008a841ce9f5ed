"""What becomes of an event before it is written: dropped, counted up, gathered with similar ones, or new.

client-go's rules (tools/record/events_cache.go). A source may write 25 events about one object at
once and then one every five minutes. The tenth and later different messages of one reason within
ten minutes become one event, "(combined from similar events): ...". A repeated event is a higher
count on the one already written. Pure: time comes in, decisions go out.
"""

from collections import OrderedDict
from typing import Any, TypeVar

from attrs import define

Object = dict[str, Any]
Key = tuple[Any, ...]

SPAM_BURST = 25
SPAM_REFILL = 1 / 300
SIMILAR_LIMIT = 10
SIMILAR_INTERVAL = 600.0
REMEMBERED = 4096
COMBINED = "(combined from similar events): "


@define
class Bucket:
    tokens: float
    at: float


@define
class Similar:
    messages: set[str]
    at: float


@define
class Written:
    """The event that stands in the API for a key. `name` is "" until its creation was acknowledged."""

    name: str = ""
    namespace: str = ""
    count: int = 0
    first: str = ""


@define
class Decision:
    """Write `event`, for which `written` is the record to keep: patch when it has a name, else create."""

    event: Object
    written: Written
    message: str


class Correlator:
    """Decides for one source. `now` is in seconds and never goes back."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Key, Bucket] = OrderedDict()
        self._similar: OrderedDict[Key, Similar] = OrderedDict()
        self._written: OrderedDict[Key, Written] = OrderedDict()

    def correlate(self, event: Object, now: float) -> Decision | None:
        """What to do with `event` (its message may have to change), or None: drop it."""
        involved = event["involvedObject"]
        about = tuple(involved.get(part, "") for part in ("kind", "namespace", "name", "uid", "apiVersion"))
        if not self._admit(about, now):
            return None
        group = (*about, event["type"], event["reason"])
        message = event["message"]
        if self._combine(group, message, now):
            message, key = COMBINED + message, group
        else:
            key = (*group, message, involved.get("fieldPath", ""))
        written = _touch(self._written, key)
        if written is None:
            written = self._written[key] = Written()
        written.count += 1
        if not written.first:
            written.first = event["firstTimestamp"]
        return Decision(event, written, message)

    def _admit(self, about: Key, now: float) -> bool:
        bucket = _touch(self._buckets, about)
        if bucket is None:
            bucket = self._buckets[about] = Bucket(SPAM_BURST, now)
        bucket.tokens = min(SPAM_BURST, bucket.tokens + (now - bucket.at) * SPAM_REFILL)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _combine(self, group: Key, message: str, now: float) -> bool:
        similar = _touch(self._similar, group)
        if similar is None or now - similar.at > SIMILAR_INTERVAL:
            similar = self._similar[group] = Similar(set(), now)
        similar.at = now
        similar.messages.add(message)
        if len(similar.messages) < SIMILAR_LIMIT:
            return False
        similar.messages.pop()
        return True


V = TypeVar("V")


def _touch(cache: "OrderedDict[Key, V]", key: Key) -> V | None:
    """The entry, now the most recent; the oldest goes when there are too many."""
    value = cache.get(key)
    if value is not None:
        cache.move_to_end(key)
    elif len(cache) >= REMEMBERED:
        cache.popitem(last=False)
    return value
