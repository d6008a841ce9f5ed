"""Time and randomness as inputs.

Durations come from trio's clock, timestamps from a `Clock`, randomness from one seeded generator.
Under trio's MockClock a whole cluster therefore runs in virtual time, and a seed reproduces a run.
Nothing else in the program may ask the machine for the time or for random numbers (lint sees to it).
"""

import os
import time
from datetime import UTC, datetime, timedelta
from random import Random as Random  # the one door to the type, too
from typing import Protocol

import trio

VERSION_4 = 0x4000 << 64 | 0x8000 << 48
VERSION_MASK = ~(0xF000 << 64 | 0xC000 << 48)
"""The bits that RFC 9562 sets aside for version and variant."""
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


_latest = (0.0, "1970-01-01T00:00:00Z")


def rfc3339(moment: datetime) -> str:
    """`moment` as Kubernetes writes a Time: UTC, whole seconds, ending in Z."""
    global _latest
    second = moment.timestamp() // 1
    if second == _latest[0]:  # who writes asks for the time again and again
        return _latest[1]
    text = f"{moment.astimezone(UTC).isoformat()[:19]}Z"
    _latest = second, text
    return text


def rfc3339_micro(moment: datetime) -> str:
    """`moment` as Kubernetes writes a MicroTime: UTC, six decimals, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seeded_uuid(generator: Random) -> str:
    """A version 4 UUID drawn from `generator`. For names and identities, never for secrets."""
    digits = f"{generator.getrandbits(128) & VERSION_MASK | VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def process_age() -> float:
    """Seconds since this process was started, interpreter and imports included."""
    with open("/proc/self/stat", "rb") as stat:
        ticks = int(stat.read().rpartition(b")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
