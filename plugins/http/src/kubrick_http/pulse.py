"""Once a second: what time it is, and which connections are too slow.

Setting a trio deadline costs 3 µs and a request would need four, a fifth of its whole budget. So a
connection only notes until when it may take, and one task looks through all of them every second.
"""

from collections.abc import Iterable
from email.utils import format_datetime
from typing import Protocol

import trio

from kubrick_kernel.clock import Clock

INTERVAL = 1.0


class Timed(Protocol):
    """Something with a time limit. `deadline` is on trio's clock."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""
        ...


class Pulse:
    """`now` is trio's time and `date` the HTTP date, both as of the last beat."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timed: set[Timed] = set()
        self.now = 0.0
        self.date = ""
        self.beat()

    def add(self, timed: Timed) -> None:
        self._timed.add(timed)

    def remove(self, timed: Timed) -> None:
        self._timed.discard(timed)

    def all(self) -> Iterable[Timed]:
        return list(self._timed)

    def __len__(self) -> int:
        return len(self._timed)

    def beat(self) -> None:
        """Look at the clocks, and expire what is overdue."""
        self.now = now = trio.current_time()
        self.date = format_datetime(self._clock.now(), usegmt=True)
        for timed in [timed for timed in self._timed if timed.deadline < now]:
            timed.expire()

    async def run(self) -> None:
        while True:
            await trio.sleep(INTERVAL)
            self.beat()
