"""How many seats each priority level has: by its shares, and every ten seconds by what it needs.

The nominal limit is a level's part of the server's limit. A level lends `lendablePercent` of that
and borrows up to `borrowingLimitPercent` of it (without one: all there is). Every period the seats are dealt
anew: everybody keeps what is not lendable or was in use, and the rest goes in proportion to smoothed demand, within
each one's bounds. The rules are those of KEP-1040.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, frozen

Object = dict[str, Any]

PERIOD = 10.0
"""Seconds between two adjustments."""
SMOOTHING = 0.977
"""How much of an old demand is still believed after a period: halved in five minutes."""
WIDEST = 0.15
"""The part of a level's seats that one request may have."""
MIN_TARGET = 0.001


@frozen
class Limits:
    """Of one level, in seats."""

    nominal: int
    minimum: int
    """What it keeps when it lends all it may."""
    maximum: int
    """What it has when it borrows all it may."""

    @property
    def widest_request(self) -> int:
        return max(1, math.ceil(self.nominal * WIDEST))


def limits(server: int, specs: Mapping[str, Object]) -> dict[str, Limits]:
    """Each level's limits when the server may do `server` things at once. `specs` are those of the levels."""
    settings = {name: spec.get("limited") or spec.get("exempt") or {} for name, spec in specs.items()}
    shares = {name: setting.get("nominalConcurrencyShares") or 0 for name, setting in settings.items()}
    total = sum(shares.values())
    return {name: _limits(server, shares[name] / total if total else 0.0, settings[name]) for name in specs}


def _limits(server: int, part: float, setting: Object) -> Limits:
    nominal = math.ceil(server * part - 1e-9)
    lendable = _round(nominal * (setting.get("lendablePercent") or 0) / 100)
    percent = setting.get("borrowingLimitPercent")
    borrowing = server if percent is None else _round(nominal * percent / 100)
    return Limits(nominal, nominal - lendable, nominal + borrowing)


def _round(value: float) -> int:
    return math.floor(value + 0.5)


class Demand:
    """How many seats were in use or asked for: mean, deviation and peak since the last `reset`, weighed by
    time."""

    __slots__ = ("_from", "_peak", "_since", "_squares", "_sum", "_value")

    def __init__(self, now: float) -> None:
        self._value = self._peak = 0
        self._since = self._from = now
        self._sum = self._squares = 0.0

    def set(self, value: int, now: float) -> None:
        """It is `value` from `now` on."""
        elapsed = now - self._since
        if elapsed > 0.0:
            old = self._value * elapsed
            self._sum += old
            self._squares += old * self._value
            self._since = now
        self._value = value
        if value > self._peak:
            self._peak = value

    def reset(self, now: float) -> tuple[float, float, int]:
        """(mean, standard deviation, peak) of the period that ends now, and begin the next."""
        self.set(self._value, now)
        length = now - self._from
        mean, deviation, peak = float(self._value), 0.0, self._value
        if length > 0.0:
            mean = self._sum / length
            deviation = math.sqrt(max(0.0, self._squares / length - mean * mean))
            peak = self._peak
        self._from = now
        self._sum = self._squares = 0.0
        self._peak = self._value
        return mean, deviation, peak


@define
class Claim:
    """What one level needs, period by period."""

    limits: Limits
    exempt: bool = False
    peak: int = 0
    smoothed: float = 0.0

    def take(self, mean: float, deviation: float, peak: int) -> None:
        """A period has ended: demand is believed at once when it rises, and slowly when it falls."""
        envelope = mean + deviation
        self.peak = peak
        self.smoothed = max(envelope, SMOOTHING * self.smoothed + (1 - SMOOTHING) * envelope)

    @property
    def floor(self) -> int:
        """What it can't be left without now."""
        needed = self.peak if self.exempt else min(self.limits.nominal, self.peak)
        return max(self.limits.minimum, needed)


def adjust(claims: Mapping[str, Claim]) -> dict[str, int]:
    """Each level's current limit. Exempt levels are not limited: what they use is taken off the rest."""
    answer = {name: claim.floor for name, claim in claims.items() if claim.exempt}
    remaining = max(0, sum(claim.limits.nominal for claim in claims.values()) - sum(answer.values()))
    limited = {name: claim for name, claim in claims.items() if not claim.exempt}
    floors = [claim.floor for claim in limited.values()]
    minima = [claim.limits.minimum for claim in limited.values()]
    if sum(minima) >= remaining:
        # Exempt requests have taken what there was.
        dealt: Sequence[float] = minima
    elif sum(floors) >= remaining:
        dealt = allocate(remaining, [*zip(minima, floors, floors, strict=True)])
    else:
        wanted = [(claim.floor, claim.limits.maximum, max(claim.floor, claim.smoothed)) for claim in limited.values()]
        dealt = allocate(remaining, wanted)
    return answer | {name: _round(seats) for name, seats in zip(limited, dealt, strict=True)}


def allocate(total: int, wants: Sequence[tuple[float, float, float]]) -> list[float]:
    """`total` dealt in proportion to targets, within bounds; `wants` are (lowest, highest, target). What can't be
    met leaves everybody at the nearer bound."""
    wants = [(low, high, max(target, MIN_TARGET)) for low, high, target in wants]
    if sum(low for low, _, _ in wants) >= total:
        return [low for low, _, _ in wants]
    if sum(high for _, high, _ in wants) <= total:
        return [high for _, high, _ in wants]
    below, above = 0.0, max(high / target for _, high, target in wants)
    for _ in range(100):
        middle = (below + above) / 2
        if sum(max(low, min(high, middle * target)) for low, high, target in wants) < total:
            below = middle
        else:
            above = middle
    return [max(low, min(high, above * target)) for low, high, target in wants]
