"""What is wrong with a cron schedule, in the words of the parser Kubernetes uses (robfig/cron's ParseStandard).

Five fields, each a list of numbers, names, ranges and steps; or a descriptor such as @daily or @every 1h30m;
either may follow a time zone, TZ=Europe/Berlin or CRON_TZ=Europe/Berlin.
"""

import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from attrs import frozen

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
UNITS = ("ns", "us", "µs", "μs", "ms", "s", "m", "h")


@frozen
class _Bounds:
    low: int
    high: int
    names: Mapping[str, int] = {}


FIELDS = (
    _Bounds(0, 59),
    _Bounds(0, 23),
    _Bounds(1, 31),
    _Bounds(1, 12, {name: i for i, name in enumerate(MONTHS, 1)}),
    _Bounds(0, 6, {name: i for i, name in enumerate(DAYS)}),
)


class _WrongError(ValueError):
    """The parser's complaint."""


def complaint(schedule: str) -> str:
    """What is wrong with a schedule; "" if nothing is."""
    try:
        _parse(schedule)
    except _WrongError as error:
        return str(error)
    return ""


def unknown_zone(name: str) -> str:
    """Why there is no such time zone; "" if there is."""
    if name in ("", "UTC", "Local"):
        return ""
    if ".." in name or name[0] in "/\\":
        return "time: invalid location name"
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return f"unknown time zone {name}"
    return ""


def _parse(text: str) -> None:
    if not text:
        raise _WrongError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, space, rest = text.partition(" ")
        if not space:
            raise _WrongError("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        zone = head.partition("=")[2]
        if why := unknown_zone(zone):
            raise _WrongError(f"provided bad location {zone}: {why}")
        text = rest.strip()
    if text.startswith("@"):
        _descriptor(text)
        return
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise _WrongError(f"expected exactly {len(FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    for value, bounds in zip(fields, FIELDS, strict=True):
        for part in filter(None, value.split(",")):
            _range(part, bounds)


def _descriptor(text: str) -> None:
    if text in DESCRIPTORS:
        return
    if not text.startswith("@every "):
        raise _WrongError(f"unrecognized descriptor: {text}")
    duration = text.removeprefix("@every ")
    if why := _duration(duration):
        raise _WrongError(f"failed to parse duration {text}: {why}")


def _duration(text: str) -> str:
    """What Go's time.ParseDuration says."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return ""
    if not rest:
        return f'time: invalid duration "{text}"'
    while rest:
        number = re.match(r"[0-9]*(?:\.[0-9]*)?", rest)
        if number is None or not re.search("[0-9]", number[0]):
            return f'time: invalid duration "{text}"'
        rest = rest[number.end() :]
        unit = re.match(r"[^0-9.]*", rest)
        if unit is None or not unit[0]:
            return f'time: missing unit in duration "{text}"'
        if unit[0] not in UNITS:
            return f'time: unknown unit "{unit[0]}" in duration "{text}"'
        rest = rest[unit.end() :]
    return ""


def _range(text: str, bounds: _Bounds) -> None:
    """One of a field's parts: number, name, range or step."""
    head, *steps = text.split("/")
    low, *highs = head.split("-")
    if low in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = end = _number_or_name(low, bounds)
        if len(highs) > 1:
            raise _WrongError(f"too many hyphens: {text}")
        if highs:
            end = _number_or_name(highs[0], bounds)
    step = 1
    if len(steps) > 1:
        raise _WrongError(f"too many slashes: {text}")
    if steps:
        step = _number(steps[0])
        if not highs:
            end = bounds.high
    if start < bounds.low:
        raise _WrongError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise _WrongError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise _WrongError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise _WrongError(f"step of range should be a positive number: {text}")


def _number_or_name(text: str, bounds: _Bounds) -> int:
    found = bounds.names.get(text.lower())
    return _number(text) if found is None else found


def _number(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise _WrongError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    value = int(text)
    if abs(value) >= 2**63:
        raise _WrongError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if value < 0:
        raise _WrongError(f"negative number ({value}) not allowed: {text}")
    return value
