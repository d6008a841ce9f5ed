"""The cache-mutation detector: shared objects must still say what their bytes say.

Objects in the cache are shared between the server, the informers and every component of the process. A
component that changes one corrupts what everybody sees. After a test, every decoded object is compared
with the bytes it came from.
"""

from typing import Any

import orjson

from kubrick_kernel import Bus, Item


class MutatedObject(AssertionError):
    """A shared object was changed in place."""


def check_unchanged(bus: Bus) -> int:
    """Compare every decoded object the bus holds (current ones and those in the windows of recent
    events) with its bytes; returns how many were compared. Raises `MutatedObject` naming the first."""
    seen: dict[int, Item] = {}
    for topic in bus.topics.values():
        for item in topic.range().items:
            seen[id(item)] = item
        for event in topic.recent():
            for item in (event.item, event.previous):
                if item is not None:
                    seen[id(item)] = item
    compared = 0
    for item in seen.values():
        if isinstance(item.memo, dict):
            _compare(item)
            compared += 1
    return compared


def _compare(item: Item) -> None:
    stored = orjson.loads(item.value)
    if stored != item.memo:
        raise MutatedObject(f"{item.key.decode()} was changed in the cache: {_difference(stored, item.memo, '')}")


def _difference(stored: Any, now: Any, path: str) -> str:
    """The first place where two JSON values differ."""
    if isinstance(stored, dict) and isinstance(now, dict):
        for key in sorted({*stored, *now}):
            if stored.get(key) != now.get(key):
                return _difference(stored.get(key), now.get(key), f"{path}.{key}")
    return f"{path or '.'} is {now!r}, was stored as {stored!r}"
