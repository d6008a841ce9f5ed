"""The part of a scripted log that is asked for. Pure."""

from collections.abc import Iterator
from datetime import datetime

from kubrick_kernel import rfc3339_micro
from kubrick_node import LogOptions


def shown(text: str, written: datetime, options: LogOptions) -> bytes:
    """What `options` ask for of a log whose every line was written to stdout at `written`."""
    if options.stream == "Stderr" or (options.since is not None and written < options.since):
        return b""
    lines = text.removesuffix("\n").split("\n") if text else []
    if options.tail_lines is not None:
        lines = lines[max(len(lines) - options.tail_lines, 0) :]
    data = b"".join(_encoded(lines, written, options.timestamps))
    return data if options.limit_bytes is None else data[: options.limit_bytes]


def _encoded(lines: list[str], written: datetime, timestamps: bool) -> Iterator[bytes]:
    prefix = f"{rfc3339_micro(written)} " if timestamps else ""
    for line in lines:
        yield f"{prefix}{line}\n".encode()
