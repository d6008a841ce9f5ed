"""The cache-mutation detector: shared objects must still say what their bytes say.

Objects in the cache are shared between the server, the informers and every component of the process. A
component that changes one corrupts what everybody sees. The detector subscribes to every topic when the
cluster starts and, after the test, compares every decoded object it was told of with its bytes.
"""

from typing import Any

import orjson

from kubrick_api.catalog import Catalog
from kubrick_kernel import Bus, Item, Lagged, Subscription, Topic


class MutatedObject(AssertionError):
    """A shared object was changed in place."""


class MutationDetector:
    """Watches the topics of every resource in the catalog."""

    def __init__(self, bus: Bus, catalog: Catalog) -> None:
        prefixes = {resource.key_prefix for group in catalog.groups() for resource in group.resources}
        self._topics: list[Topic] = [bus.topic(prefix) for prefix in sorted(prefixes)]
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Remember every object from now on (as far as the bus's windows go)."""
        for topic in self._topics:
            self._subscriptions.append(await topic.subscribe(topic.revision))

    def check(self) -> int:
        """Compare; returns how many objects were compared. Raises `MutatedObject` naming the first that
        was changed, and where."""
        seen: dict[int, Item] = {}
        for topic in self._topics:
            for item in topic.range().items:
                seen[id(item)] = item
        for subscription in self._subscriptions:
            try:
                events = subscription.receive_nowait()
            except Lagged:
                continue  # a test that outran the window: what is current was compared all the same
            finally:
                subscription.close()
            for event in events:
                seen.update((id(item), item) for item in (event.item, event.previous) if item is not None)
        decoded = [item for item in seen.values() if isinstance(item.memo, dict)]
        for item in decoded:
            _compare(item)
        return len(decoded)


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
