"""Scalar types: which JSON value each expects, and how it becomes the one spelling that is stored."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from attrs import frozen

from kubrick_api.quantity import MALFORMED, canonical
from kubrick_api.trouble import Trouble

Troubles = list[Trouble] | None


@frozen
class Scalar:
    """`usual` is the Python type of its usual JSON value; `narrow` visits values of that type (None:
    nothing to do), `visit` those of any type; `go` is its name in Go."""

    usual: type
    narrow: Callable[[Any, Any, Any], Troubles] | None
    visit: Callable[[Any, Any, Any], Troubles]
    go: str


def _exactly(usual: type, go: str) -> Callable[[Any, Any, Any], Troubles]:
    def visit(value: Any, holder: Any, key: Any) -> Troubles:
        return None if type(value) is usual else [Trouble.of_type(value, go, usual)]

    return visit


def _integer(bits: int) -> Callable[[Any, Any, Any], Troubles]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def visit(value: Any, holder: Any, key: Any) -> Troubles:
        return None if type(value) is int and low <= value <= high else [Trouble.of_type(value, f"int{bits}", int)]

    return visit


def _number(value: Any, holder: Any, key: Any) -> Troubles:
    return None if type(value) in (int, float) else [Trouble.of_type(value, "float64", float)]


def _quantity(value: Any, holder: Any, key: Any) -> Troubles:
    kind = type(value)
    if kind is str:
        text = value
    elif kind is int or kind is float:
        text = repr(value)
    else:
        return [Trouble.custom(MALFORMED)]
    try:
        right = canonical(text)
    except ValueError:
        try:
            right = canonical(text.strip())
        except ValueError as error:
            return [Trouble.custom(str(error))]
    if right != value and holder is not None:
        holder[key] = right
    return None


def _int_or_string(value: Any, holder: Any, key: Any) -> Troubles:
    kind = type(value)
    if kind is str or (kind is int and -(2**31) <= value < 2**31):
        return None
    return [Trouble.custom(str(Trouble.of_type(value, "int32", int)))]


_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)


@lru_cache(maxsize=4096)
def canonical_time(text: str, micro: bool = False) -> str:
    """A Time (UTC, whole seconds) or MicroTime (six decimals). Raises ValueError in Go's words."""
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    match = _RFC3339.match(text)
    if match is None:
        rest, wanted = _first_mismatch(text, micro)
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{wanted}"')
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    for amount, low, high, name in (
        (month, 1, 12, "month"),
        (hour, 0, 23, "hour"),
        (minute, 0, 59, "minute"),
        (second, 0, 59, "second"),
    ):
        if not low <= amount <= high:
            raise ValueError(f'parsing time "{text}": {name} out of range')
    micros = int((match[7] or "").ljust(6, "0")[:6])
    zone = "+00:00" if match[8] == "Z" else match[8]
    try:
        moment = datetime(year, month, day, hour, minute, second, micros, datetime.strptime(zone, "%z").tzinfo)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'parsing time "{text}": day out of range') from None
    # strftime's %Y doesn't pad years below 1000.
    head = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}"
    return f"{head}.{moment.microsecond:06}Z" if micro else f"{head}Z"


_LAYOUT = (
    (r"\d{4}", "2006"),
    ("-", "-"),
    (r"\d\d", "01"),
    ("-", "-"),
    (r"\d\d", "02"),
    ("T", "T"),
    (r"\d\d", "15"),
    (":", ":"),
    (r"\d\d", "04"),
    (":", ":"),
    (r"\d\d", "05"),
)


def _first_mismatch(text: str, micro: bool) -> tuple[str, str]:
    """What Go's parser says it couldn't parse, and the part of the layout it wanted there."""
    at = 0
    for pattern, wanted in _LAYOUT:
        match = re.compile(pattern, re.ASCII).match(text, at)
        if match is None:
            return text[at:], wanted
        at = match.end()
    fraction = re.compile(r"[.,]\d+").match(text, at)
    if fraction:
        at = fraction.end()
    elif micro:
        return text[at:], ".000000"
    return text[at:], "Z07:00"


def _time(micro: bool) -> Callable[[Any, Any, Any], Troubles]:
    def visit(value: Any, holder: Any, key: Any) -> Troubles:
        if type(value) is not str:
            return [Trouble.custom(str(Trouble.of_type(value, "string", str)))]
        try:
            right = canonical_time(value, micro)
        except ValueError as error:
            return [Trouble.custom(str(error))]
        if right != value and holder is not None:
            holder[key] = right
        return None

    return visit


_BASE64 = re.compile(r"[A-Za-z0-9+/]")


def _bytes(value: Any, holder: Any, key: Any) -> Troubles:
    if type(value) is not str:
        return [Trouble.of_type(value, "[]uint8", list)]
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        text = value.replace("\r", "").replace("\n", "")
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return [Trouble.custom(f"illegal base64 data at input byte {_corrupt_at(value)}")]
        if holder is not None:
            holder[key] = base64.b64encode(raw).decode()
    return None


def _corrupt_at(text: str) -> int:
    """Where Go's base64 decoder stops."""
    digits = 0
    for at, char in enumerate(text):
        if _BASE64.match(char):
            digits += 1
        elif char not in "\r\n":
            if char == "=" and digits % 4 == 2 and text[at : at + 2] == "==":
                return at + 2
            return at + 1 if char == "=" and digits % 4 == 3 else at
    return len(text) - digits % 4 if digits % 4 else len(text)


SCALARS: dict[str, Scalar] = {
    "string": Scalar(str, None, _exactly(str, "string"), "string"),
    "boolean": Scalar(bool, None, _exactly(bool, "bool"), "bool"),
    "integer": Scalar(int, _integer(64), _integer(64), "int64"),
    "int32": Scalar(int, _integer(32), _integer(32), "int32"),
    "int64": Scalar(int, _integer(64), _integer(64), "int64"),
    "number": Scalar(float, None, _number, "float64"),
    "double": Scalar(float, None, _number, "float64"),
    "byte": Scalar(str, _bytes, _bytes, "[]uint8"),
    "Quantity": Scalar(str, _quantity, _quantity, "resource.Quantity"),
    "IntOrString": Scalar(str, None, _int_or_string, "intstr.IntOrString"),
    "Time": Scalar(str, _time(False), _time(False), "v1.Time"),
    "MicroTime": Scalar(str, _time(True), _time(True), "v1.MicroTime"),
}
