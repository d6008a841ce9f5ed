"""Time and randomness as inputs.

Durations come from trio's clock, timestamps from a `Clock`, randomness from one seeded generator.
Under trio's MockClock a whole cluster therefore runs in virtual time, and a seed reproduces a run.
Nothing else in the program may ask the machine for the time or for random numbers (lint sees to it).
"""

import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from random import Random as Random  # the one door to the type, too
from typing import Protocol

import trio

VIRTUAL_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What time it is, always in UTC."""

    def now(self) -> datetime:
        """The current time, timezone-aware, in UTC."""
        ...

    def timestamp(self) -> float:
        """Seconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def timestamp(self) -> float:
        return time.time()


class TrioClock:
    """Timestamps that move with trio's clock: under MockClock, virtual time from `epoch` on."""

    def __init__(self, epoch: datetime = VIRTUAL_EPOCH) -> None:
        self._epoch = epoch
        self._start: float | None = None

    def now(self) -> datetime:
        elapsed = trio.current_time()
        if self._start is None:
            self._start = elapsed
        return self._epoch + timedelta(seconds=elapsed - self._start)

    def timestamp(self) -> float:
        return self.now().timestamp()


def generator(seed: int | None) -> Random:
    """The one source of randomness: repeats itself for the same seed, and never does for None."""
    return Random(seed)


def rfc3339(moment: datetime) -> str:
    """`moment` as Kubernetes writes a Time: UTC, whole seconds, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """`moment` as Kubernetes writes a MicroTime: UTC, six decimals, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seeded_uuid(generator: Random) -> str:
    """A version 4 UUID drawn from `generator`. For names and identities, never for secrets."""
    return str(uuid.UUID(int=generator.getrandbits(128), version=4))


def process_age() -> float:
    """Seconds since this process was started, interpreter and imports included."""
    with open("/proc/self/stat", "rb") as stat:
        ticks = int(stat.read().rpartition(b")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
