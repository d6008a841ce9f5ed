"""Durations in messages, as Go writes them. Pure."""

_NANO = 1_000_000_000


def go_duration(seconds: float) -> str:
    """`1h2m3.5s`, `45s`, `12.5ms`; seconds have no more than nine digits after the point."""
    nano = round(seconds * _NANO)
    if nano < _NANO:
        return f"{_trimmed(nano, 1_000_000)}ms" if nano else "0s"
    minutes, rest = divmod(nano, 60 * _NANO)
    text = f"{_trimmed(rest, _NANO)}s"
    if not minutes:
        return text
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"


def _trimmed(count: int, unit: int) -> str:
    """`count` in units, without zeros at the end."""
    whole, rest = divmod(count, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
