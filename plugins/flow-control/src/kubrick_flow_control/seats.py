"""How much of the server a request takes: its seats, and for how long after the answer it still has some.

A list takes a seat per hundred objects it goes through; so does a watch that begins with what there
is. A write is not over when it is answered: its event goes to every watcher, which is work for a while. Pure; the
numbers are those of apiserver/pkg/util/flowcontrol/request, but for what watchers cost.
"""

import math
from collections.abc import Mapping

from attrs import frozen

from kubrick_apiserver.request_info import is_true

MAX_SEATS = 10
OBJECTS_PER_SEAT = 100.0
WATCHERS_PER_SEAT = 10.0
EVENT_SECONDS = 0.001
"""How long a seat's worth of watchers is busy with one event. Upstream says 5 ms; here it takes 0.04 ms, as many
watchers are served as one."""
SERVICE_SECONDS = 0.003
"""How long a request is thought to take until it is known."""


@frozen
class Work:
    """What a request is expected to need."""

    seats: int = 1
    final_seats: int = 0
    """After it was answered, for `latency` seconds."""
    latency: float = 0.0

    @property
    def widest(self) -> int:
        """What it holds while it is answered: nothing may be in the way of its end."""
        return max(self.seats, self.final_seats)

    @property
    def expected(self) -> float:
        """Seat-seconds."""
        return self.seats * SERVICE_SECONDS + self.final_seats * self.latency


ONE = Work()


def of_list(query: Mapping[str, str], stored: int, name: str, most: int) -> Work:
    """A list of a resource with `stored` objects; `most` is what the level allows one request."""
    if name:
        return ONE
    limit = _number(query.get("limit", ""))
    limit = limit if 0 < limit < stored else stored
    if _from_cache(query):
        touched = stored
    elif query.get("fieldSelector") or query.get("labelSelector"):
        touched = stored + limit
    else:
        touched = 2 * limit
    return Work(_between(math.ceil(touched / OBJECTS_PER_SEAT), most))


def of_watch(query: Mapping[str, str], stored: int, name: str, most: int) -> Work:
    """A watch until it has sent what there is; nothing much when it begins with a revision."""
    initial = is_true(query, "sendInitialEvents") or query.get("resourceVersion", "") in ("", "0")
    if name or not initial:
        return ONE
    return Work(_between(math.ceil(stored / OBJECTS_PER_SEAT), most))


def of_write(watchers: int, most: int) -> Work:
    """A write of something that so many watch."""
    if watchers < WATCHERS_PER_SEAT:
        return ONE
    wanted = math.ceil(watchers / WATCHERS_PER_SEAT)
    final = _between(wanted, most)
    return Work(1, final, wanted * EVENT_SECONDS / final)


def _from_cache(query: Mapping[str, str]) -> bool:
    """Whether any recent state will do for a list, so that all of it is in memory (the watch cache of upstream)."""
    version = query.get("resourceVersion", "")
    if query.get("continue") or query.get("resourceVersionMatch") == "Exact":
        return False
    return version == "0" or not query.get("limit")


def _between(seats: int, most: int) -> int:
    return max(1, min(seats, most, MAX_SEATS))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
