"""Quantities: Kubernetes' numbers with a suffix, exactly.

"100m", "1.5Gi", "2e3". A number is a decimal with at most nine decimals (more are rounded up), in one
of three formats: binary (Ki, Mi, ...), decimal (m, k, M, ...) or exponent (e3). `canonical` gives the
one spelling that Kubernetes stores; `milli` and `value` answer the two questions that schedulers and
quotas ask, with a fast path for the usual spellings.
"""

import re
from functools import lru_cache, total_ordering
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fractions import Fraction

BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in DECIMAL.items()}
BINARY_SUFFIXES = {power: suffix for suffix, power in BINARY.items()}
NANO = 10**9
MALFORMED = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NO_NUMBER = "unable to parse numeric part of quantity"
UNKNOWN_SUFFIX = "unable to parse quantity's suffix"

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?((?:[KMGTPE]i)|[numkMGTPE]?|[eE][+-]?[0-9]+)\Z")
_SHAPE = re.compile(r"[+-]?[0-9]*(?:\.[0-9]*)?[eEinumkKMGTP]*[-+]?[0-9]*\Z")
_LARGEST = 2**63 - 1


@total_ordering
class Quantity:
    """One exact quantity. Immutable; compares and hashes by amount, so 0.5 equals 500m."""

    __slots__ = ("_format", "_nano")

    def __init__(self, amount: "str | int | float | Quantity") -> None:
        """Raises ValueError, in Kubernetes' words, for text that is no quantity."""
        self._nano: int
        self._format: str
        if isinstance(amount, Quantity):
            self._nano, self._format = amount._nano, amount._format
        else:
            self._nano, self._format = _parse(amount if isinstance(amount, str) else repr(amount))

    @classmethod
    def _of(cls, nano: int, style: str) -> "Quantity":
        made = cls.__new__(cls)
        made._nano = nano
        made._format = style
        return made

    @property
    def style(self) -> str:
        """ "decimal", "binary" or "exponent": which suffixes `str` uses."""
        return self._format

    @property
    def milli(self) -> int:
        """Thousandths, rounded up."""
        return -(-self._nano // 10**6)

    @property
    def value(self) -> int:
        """Whole units, rounded up."""
        return -(-self._nano // NANO)

    @property
    def exact(self) -> "Fraction":
        """The amount, unrounded."""
        from fractions import Fraction

        return Fraction(self._nano, NANO)

    def __add__(self, other: "Quantity") -> "Quantity":
        style = self._format if self._nano or not other._nano else other._format
        return self._of(self._nano + other._nano, style)

    def __sub__(self, other: "Quantity") -> "Quantity":
        style = self._format if self._nano or not other._nano else other._format
        return self._of(self._nano - other._nano, style)

    def __neg__(self) -> "Quantity":
        return self._of(-self._nano, self._format)

    def __bool__(self) -> bool:
        return self._nano != 0

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Quantity) and self._nano == other._nano

    def __lt__(self, other: "Quantity") -> bool:
        return self._nano < other._nano

    def __hash__(self) -> int:
        return hash(self._nano)

    def __str__(self) -> str:
        return _canonical(self._nano, self._format)

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[int, str]:
    """Nano-units and style. Raises ValueError. A cluster says few quantities, again and again."""
    match = _NUMBER.match(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError(_complaint(text))
    sign, whole, decimals, suffix = match[1], match[2] or "0", match[3] or "", match[4]
    number = int(whole + decimals)
    scale = -len(decimals)
    factor = 1
    if suffix in DECIMAL:
        scale += DECIMAL[suffix]
        style = "decimal"
    elif suffix in BINARY:
        factor = 1024 ** BINARY[suffix]
        style = "binary"
    else:
        exponent = int(suffix[1:])
        if abs(exponent) > 1000:
            raise ValueError(UNKNOWN_SUFFIX)
        scale += exponent
        style = "exponent"
    scale += 9
    number *= factor
    nano = number * 10**scale if scale >= 0 else -(-number // 10**-scale)
    nano = min(nano, _LARGEST * NANO)
    return (-nano if sign == "-" else nano), style


def _complaint(text: str) -> str:
    if not text or not _SHAPE.match(text):
        return MALFORMED
    return UNKNOWN_SUFFIX if re.match(r"[+-]?\.?[0-9]", text) else NO_NUMBER


def _canonical(nano: int, style: str) -> str:
    """No fraction that a smaller suffix could say, and the largest suffix that leaves none."""
    if nano == 0:
        return "0"
    if style == "binary":
        number, power = nano, 0
        if nano % NANO == 0:
            number //= NANO
            while power < 6 and number % 1024 == 0:
                number //= 1024
                power += 1
        if power:
            return f"{number}{BINARY_SUFFIXES[power]}"
        # What no binary suffix can say: below 1024, fractions, and odd amounts. Kubernetes prints the last
        # without a suffix, but stores and reads it as a decimal; this is what a reader gets there.
        style = "decimal"
    number, exponent = nano, -9
    largest = 18 if style == "decimal" else 1000
    while exponent < largest and number % 1000 == 0:
        number //= 1000
        exponent += 3
    if style == "decimal":
        return f"{number}{DECIMAL_SUFFIXES[exponent]}"
    return f"{number}e{exponent}" if exponent else str(number)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The spelling Kubernetes stores: "0.5" → "500m", "1024Mi" → "1Gi". Raises ValueError."""
    return _canonical(*_parse(text))


@lru_cache(maxsize=4096)
def milli(text: str) -> int:
    """Thousandths, rounded up: milli("100m") == 100. Raises ValueError."""
    return -(-_parse(text)[0] // 10**6)


@lru_cache(maxsize=4096)
def value(text: str) -> int:
    """Whole units, rounded up: value("1Ki") == 1024. Raises ValueError."""
    return -(-_parse(text)[0] // NANO)


ZERO = Quantity(0)
