"""Reads a container's log file for somebody: from where they asked, on and on if they follow."""

import os
from collections.abc import Awaitable, Callable

import trio

from kubrick_node import LogOptions
from kubrick_runtime_cri.logs import BLOCK, FALLBACK_BYTES, FALLBACK_LINES, MESSAGE_BYTES, Filter, last_text, tail_start

FOLLOW_SECONDS = 0.1
_RUNNING_LOOKS = 5
"""Every so many looks without news, ask whether the container still runs."""


async def read_log(
    path: str,
    options: LogOptions,
    write: Callable[[bytes], Awaitable[None]],
    running: Callable[[], Awaitable[bool]],
) -> None:
    """Raises FileNotFoundError. A log that is rotated while it is followed is read to its end, then the new
    one from its beginning."""
    chosen = Filter(options)
    file = os.open(path, os.O_RDONLY)
    try:
        if options.tail_lines is not None:
            size = os.fstat(file).st_size
            start = tail_start(size, lambda offset, length: os.pread(file, length, offset), options.tail_lines)
            os.lseek(file, start, os.SEEK_SET)
        looks, last = 0, False
        while not chosen.done:
            data = os.read(file, BLOCK)
            if data:
                looks = 0
                await _hand_over(chosen.feed(data), write)
                continue
            newer = _reopened(path, file) if options.follow else -1
            if newer >= 0:
                os.close(file)
                file = newer
                continue
            if not options.follow or last:
                await _hand_over(chosen.finish(), write)
                return
            looks += 1
            if looks % _RUNNING_LOOKS == 0:
                last = not await running()  # one more look, for what was written before it ended
            else:
                await trio.sleep(FOLLOW_SECONDS)
    finally:
        os.close(file)


async def _hand_over(text: bytes, write: Callable[[bytes], Awaitable[None]]) -> None:
    if text:
        await write(text)
    else:
        await trio.lowlevel.checkpoint()


def _reopened(path: str, file: int) -> int:
    """The file that now has the name, if it is another one; else -1."""
    try:
        newer = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return -1  # between renaming and reopening
    if os.path.sameopenfile(newer, file):
        os.close(newer)
        return -1
    return newer


def end_of(path: str, length: int) -> bytes:
    """A file's last bytes; none if it can't be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - length))
            return file.read(length)
    except OSError:
        return b""


def termination_message(message_file: str, log_file: str, fall_back: bool) -> str:
    """What a container left as its last words; with `fall_back` the end of its log if it left none."""
    text = end_of(message_file, MESSAGE_BYTES).decode(errors="replace") if message_file else ""
    if text or not fall_back or not log_file:
        return text
    # Timestamps and tags take room besides the content.
    return last_text(end_of(log_file, FALLBACK_BYTES + FALLBACK_LINES * 64))
