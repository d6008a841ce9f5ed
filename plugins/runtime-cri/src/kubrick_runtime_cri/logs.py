"""Container logs in CRI's format, and the part of one that somebody asked for. Pure.

A line is "TIMESTAMP STREAM TAGS CONTENT": an RFC 3339 timestamp with nanoseconds, stdout or stderr, and the
tag F for a whole line or P for a piece of one that the runtime cut. Source: CRI's logging design, the
kubelet's logs.ReadLogs.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from attrs import frozen

from kubrick_node import LogOptions

BLOCK = 2**16
FALLBACK_LINES = 80
FALLBACK_BYTES = 2048
MESSAGE_BYTES = 4096
"""How much of a log, or of a termination message, becomes a container's message."""


@frozen
class Entry:
    """One line: `content` ends with a newline when the line does."""

    timestamp: bytes
    stream: bytes
    content: bytes
    partial: bool


def parse(line: bytes) -> Entry | None:
    """A line of the file, its newline included; None for what isn't one."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in (b"stdout", b"stderr"):
        return None
    partial = parts[2].split(b":")[0] == b"P"
    content = parts[3]
    if partial:
        content = content.removesuffix(b"\n")
    return Entry(parts[0], parts[1], content, partial)


def moment(timestamp: bytes) -> datetime | None:
    try:
        found = datetime.fromisoformat(timestamp.decode("ascii"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Filter:
    """Takes a log's bytes as they are read and gives back what was asked for. `done` when the byte limit
    is used up."""

    def __init__(self, options: LogOptions) -> None:
        self._timestamps = options.timestamps
        self._since = options.since
        self._stream = {"Stdout": b"stdout", "Stderr": b"stderr"}.get(options.stream)
        self._left = options.limit_bytes
        self._rest = b""
        self._middle: set[bytes] = set()
        self.done = options.limit_bytes is not None and options.limit_bytes <= 0

    def feed(self, data: bytes) -> bytes:
        """`data` may end anywhere in a line: the piece is kept for the next call."""
        lines = _lines(self._rest + data)
        self._rest = b""
        if lines and not lines[-1].endswith(b"\n"):
            self._rest = lines.pop()
        return self._choose(lines)

    def finish(self) -> bytes:
        """What is left at the end of the file: a line without its newline."""
        rest, self._rest = self._rest, b""
        return self._choose([rest]) if rest else b""

    def _choose(self, lines: Sequence[bytes]) -> bytes:
        out: list[bytes] = []
        for line in lines:
            entry = parse(line)
            if entry is None or not self._wanted(entry):
                continue
            if self._timestamps and entry.stream not in self._middle:
                out.append(entry.timestamp + b" ")
            out.append(entry.content)
            if entry.partial:
                self._middle.add(entry.stream)
            else:
                self._middle.discard(entry.stream)
        return self._limited(b"".join(out))

    def _wanted(self, entry: Entry) -> bool:
        if self._stream is not None and entry.stream != self._stream:
            return False
        if self._since is not None:
            at = moment(entry.timestamp)
            if at is None or at < self._since:
                return False
            self._since = None  # what follows is younger
        return True

    def _limited(self, text: bytes) -> bytes:
        if self._left is None:
            return text
        text = text[: self._left]
        self._left -= len(text)
        self.done = self._left <= 0
        return text


def _lines(data: bytes) -> list[bytes]:
    """Split behind newlines only: bytes.splitlines also splits at carriage returns."""
    pieces = data.split(b"\n")
    lines = [piece + b"\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines


def tail_start(size: int, read: Callable[[int, int], bytes], lines: int) -> int:
    """Where the last `lines` lines of a file of `size` bytes begin; `read(offset, length)` reads it. Pieces
    of a line count as lines, as they do for a kubelet."""
    if lines <= 0:
        return size
    left, end = lines, size
    while end > 0:
        begin = max(0, end - BLOCK)
        block = read(begin, end - begin)
        at = len(block)
        if end == size and block.endswith(b"\n"):
            at -= 1  # the newline at the end closes the last line
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            left -= 1
            if left == 0:
                return begin + at + 1
        end = begin
    return 0


def last_text(data: bytes) -> str:
    """A log's last 80 lines or 2 KiB, whichever is less: what becomes the termination message of a container
    that left none. `data` is the end of the file."""
    lines = _lines(data)[-FALLBACK_LINES:]
    text = b"".join(entry.content for line in lines if (entry := parse(line)) is not None)
    return text[-FALLBACK_BYTES:].decode(errors="replace")
