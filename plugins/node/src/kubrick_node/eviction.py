"""When a node is short of something: thresholds, the conditions they raise, which of them ask for an eviction. Pure.

Source: the kubelet's eviction manager. A signal is what is left of something (`memory.available`), a threshold how
little of it is too little. A condition holds until some time after its last shortage; a soft threshold asks for an
eviction only when it has been met for its grace period; and one that was met stays met until so much more than its
value is free as is to be reclaimed at least.
"""

import struct
from collections.abc import Iterable, Mapping

from attrs import define, field, frozen

from kubrick_api.quantity import Quantity

MEMORY, PIDS = "memory.available", "pid.available"
NODEFS, NODEFS_INODES = "nodefs.available", "nodefs.inodesFree"
IMAGEFS, IMAGEFS_INODES = "imagefs.available", "imagefs.inodesFree"
CONDITIONS = {
    MEMORY: "MemoryPressure",
    NODEFS: "DiskPressure",
    NODEFS_INODES: "DiskPressure",
    IMAGEFS: "DiskPressure",
    IMAGEFS_INODES: "DiskPressure",
    PIDS: "PIDPressure",
}
RESOURCES = {
    MEMORY: "memory",
    NODEFS: "ephemeral-storage",
    NODEFS_INODES: "inodes",
    IMAGEFS: "ephemeral-storage",
    IMAGEFS_INODES: "inodes",
    PIDS: "pids",
}
COUNTED = (NODEFS_INODES, IMAGEFS_INODES, PIDS)
"""Signals that are numbers of things, not bytes."""


@frozen
class Observed:
    """What there is left of something, and of how much."""

    available: int
    capacity: int


@frozen
class Amount:
    """So much, or that share of what there is."""

    value: int = 0
    share: float = 0.0

    def of(self, capacity: int) -> int:
        return int(capacity * self.share) if self.share else self.value


@frozen
class Threshold:
    """Less than `amount` left is too little; at once, or (soft) when it has been so for `grace` seconds. `reclaim`:
    how much more than that shall be free again before it is enough."""

    signal: str
    amount: Amount
    grace: float = 0.0
    reclaim: Amount = Amount()

    def is_met(self, observed: Observed, reclaimed: bool = False) -> bool:
        wanted = self.amount.of(observed.capacity)
        if reclaimed:
            wanted += self.reclaim.of(observed.capacity)
        return observed.available < wanted


def thresholds(
    hard: Mapping[str, str],
    soft: Mapping[str, str] | None = None,
    graces: Mapping[str, float] | None = None,
    reclaims: Mapping[str, str] | None = None,
) -> tuple[Threshold, ...]:
    """As the settings say: by signal, a quantity or a percentage ("0%" and "100%": none). Raises ValueError."""
    soft, graces, reclaims = soft or {}, graces or {}, reclaims or {}
    for signal in (*hard, *soft, *graces, *reclaims):
        if signal not in CONDITIONS:
            raise ValueError(f'unsupported eviction signal "{signal}": use one of {", ".join(CONDITIONS)}')
    bare = [signal for signal in soft if signal not in graces]
    if bare:
        raise ValueError(f"grace period must be specified for the soft eviction threshold {bare[0]}")
    made = []
    for listed, is_soft in ((hard, False), (soft, True)):
        for signal, text in listed.items():
            amount = _amount(signal, text)
            if amount is not None:
                grace = graces[signal] if is_soft else 0.0
                reclaim = _amount(signal, reclaims[signal]) if signal in reclaims else None
                made.append(Threshold(signal, amount, grace, reclaim or Amount()))
    return tuple(made)


def _amount(signal: str, text: str) -> Amount | None:
    if text in ("0%", "100%"):
        return None
    if not text.endswith("%"):
        value = Quantity(text).value
        if value <= 0:
            raise ValueError(f"eviction threshold {signal} must be positive: {text}")
        return Amount(value)
    try:
        percent = float(text[:-1])
    except ValueError:
        raise ValueError(f'eviction threshold {signal}: "{text}" is no percentage') from None
    if not 0 <= percent <= 100:
        raise ValueError(f"eviction percentage threshold {signal} must be between 0% and 100%: {text}")
    return Amount(share=_single(_single(percent) / 100))


def _single(number: float) -> float:
    """Rounded to single precision: the kubelet's sums show in the messages."""
    found: float = struct.unpack("f", struct.pack("f", number))[0]
    return found


def reserved(found: Iterable[Threshold], signal: str, capacity: int) -> int:
    """What is kept free of it: pods can't have that."""
    amounts = [one.amount.of(capacity) for one in found if one.signal == signal and not one.grace]
    return max(amounts, default=0)


@frozen
class Findings:
    """`pressures` are the types of conditions that hold; `met` the thresholds that ask for an eviction, the most
    urgent first."""

    pressures: tuple[str, ...] = ()
    met: tuple[Threshold, ...] = ()


@define
class Watch:
    """Follows the signals of one node. Times are in seconds."""

    thresholds: tuple[Threshold, ...]
    transition: float = 300.0
    _first: dict[Threshold, float] = field(factory=dict)
    _last: dict[str, float] = field(factory=dict)
    _driving: tuple[Threshold, ...] = ()

    def observe(self, observed: Mapping[str, Observed], now: float) -> Findings:
        """What follows from what is seen now. What can't be seen is not short."""
        met = [one for one in self.thresholds if one.signal in observed and one.is_met(observed[one.signal])]
        unresolved = (one for one in self._driving if one.signal in observed and one not in met)
        met += [one for one in unresolved if one.is_met(observed[one.signal], reclaimed=True)]
        self._first = {one: self._first.get(one, now) for one in met}
        self._last |= {CONDITIONS[one.signal]: now for one in met}
        pressures = sorted(name for name, at in self._last.items() if at == now or now - at < self.transition)
        self._driving = tuple(one for one, since in self._first.items() if now - since >= one.grace)
        return Findings(tuple(pressures), tuple(sorted(self._driving, key=lambda one: one.signal != MEMORY)))

    def is_over(self, observed: Mapping[str, Observed]) -> bool:
        """Whether enough has been reclaimed that nothing need be evicted."""
        seen = (one for one in self.thresholds if one.signal in observed)
        return not any(one.is_met(observed[one.signal], reclaimed=True) for one in seen)


def written(signal: str, amount: int) -> str:
    """An amount of it as Kubernetes writes it."""
    if signal in COUNTED or amount < 1024:
        return str(Quantity(str(amount)))
    return bytes_written(amount)


def bytes_written(amount: int) -> str:
    return str(Quantity(f"{amount // 1024}Ki" if amount >= 1024 and amount % 1024 == 0 else str(amount)))
