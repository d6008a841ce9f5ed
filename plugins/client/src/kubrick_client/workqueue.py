"""A work queue of keys: deduplicated, prioritised, delayed, rate limited.

The rules are client-go's. A key waits at most once. While a worker has it, adding it again only
marks it; it is queued anew when the worker calls `done`, so one key is never worked on twice at a
time. Higher priorities come first, equals in the order they were added. Time is trio's.

There is no task behind it: whoever waits in `get` also waits for the next delayed key.
"""

from bisect import bisect_left
from heapq import heappop, heappush

import trio

BASE_DELAY = 0.005
MAX_DELAY = 1000.0
BUCKETS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


class ShutDown(Exception):
    """The queue takes no more keys and has handed out all it had."""


class Histogram:
    """Counts per bucket, nothing else: cheap enough for every key. Exported by who knows the format."""

    __slots__ = ("count", "counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.count = 0
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(BUCKETS, value)] += 1
        self.count += 1
        self.total += value


class WorkQueue:
    """See the module. `name` labels its metrics: `adds`, `retries`, `depth`, `waited`, `worked`, `started`."""

    def __init__(self, name: str = "", *, base_delay: float = BASE_DELAY, max_delay: float = MAX_DELAY) -> None:
        self.name = name
        self._base_delay = base_delay
        self._max_delay = max_delay
        self._ready: list[tuple[int, int, str]] = []
        self._sequence = 0
        self._queued: dict[str, tuple[int, int, float]] = {}
        """Key -> (its priority, its entry's number in `_ready`, when it was added)."""
        self._again: dict[str, int] = {}
        """Keys added while being worked on, with their priority."""
        self._delayed: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._lot = trio.lowlevel.ParkingLot()
        self._closed = False
        self.started: dict[str, float] = {}
        """Keys being worked on, and since when."""
        self.adds = 0
        self.retries = 0
        self.waited = Histogram()
        self.worked = Histogram()

    @property
    def depth(self) -> int:
        """Keys ready and not yet taken."""
        return len(self._queued)

    def add(self, key: str, priority: int = 0) -> None:
        """Queue `key`. If it waits already it keeps its place, or moves up to a higher priority."""
        if self._closed:
            return
        if key in self.started:
            known = self._again.get(key)
            if known is None:
                self.adds += 1
            if known is None or priority > known:
                self._again[key] = priority
            return
        waiting = self._queued.get(key)
        if waiting is not None:
            if priority <= waiting[0]:
                return
            since = waiting[2]
        else:
            self.adds += 1
            since = trio.current_time()
        self._sequence += 1
        self._queued[key] = (priority, self._sequence, since)
        heappush(self._ready, (-priority, self._sequence, key))
        if waiting is None:
            self._lot.unpark()

    def add_after(self, key: str, seconds: float) -> None:
        """Queue `key` after `seconds`, or when it was already due, whichever is sooner."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        due = trio.current_time() + seconds
        known = self._due.get(key)
        if known is not None and known <= due:
            return
        self._due[key] = due
        self._sequence += 1
        heappush(self._delayed, (due, self._sequence, key))
        if self._delayed[0][2] == key:
            self._lot.unpark()

    def add_rate_limited(self, key: str) -> None:
        """Queue `key` after its backoff: 5 ms, doubling with each call until `forget`, up to 1000 s."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.retries += 1
        self.add_after(key, min(self._base_delay * 2 ** min(failures, 40), self._max_delay))

    def forget(self, key: str) -> None:
        """`key` went well: its backoff starts over."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """How often `key` was added rate limited since it was last forgotten."""
        return self._failures.get(key, 0)

    async def get(self) -> str:
        """The next key, which is the caller's until `done`. Raises `ShutDown` when closed and empty."""
        await trio.lowlevel.checkpoint()
        while True:
            key = self._take()
            if key is not None:
                self._begin(key)
                return key
            if self._closed:
                raise ShutDown
            with trio.move_on_at(self._delayed[0][0] if self._delayed else float("inf")):
                await self._lot.park()

    def _take(self) -> str | None:
        if self._delayed:
            self._promote(trio.current_time())
        ready = self._ready
        while ready:
            _, number, key = ready[0]
            entry = self._queued.get(key)
            if entry is not None and entry[1] == number:
                return key
            heappop(ready)
        return None

    def _begin(self, key: str) -> None:
        heappop(self._ready)
        since = self._queued.pop(key)[2]
        now = trio.current_time()
        self.waited.observe(now - since)
        self.started[key] = now
        if self._queued and self._lot:
            self._lot.unpark()

    def _promote(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def done(self, key: str) -> None:
        """The caller has finished with `key`; if it was added meanwhile it is queued now."""
        since = self.started.pop(key)
        self.worked.observe(trio.current_time() - since)
        again = self._again.pop(key, None)
        if again is not None and not self._closed:
            self.adds -= 1  # it was counted when it was marked
            self.add(key, again)

    def shut_down(self) -> None:
        """Take no more keys; `get` hands out those that are ready, then raises `ShutDown`."""
        self._closed = True
        self._delayed.clear()
        self._due.clear()
        self._lot.unpark_all()
