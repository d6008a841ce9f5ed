"""Runs a function inside a network namespace.

A namespace belongs to a thread, so each call gets a thread of its own, which enters and ends there: no
thread can be left in the wrong namespace. Sockets opened inside stay inside wherever they are used
later, and /proc/sys/net shows the namespace of the thread that opens it.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from kubrick_network.errors import UNKNOWN_CONTAINER, CNIError

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class NoNamespace(CNIError):
    """There is no such namespace (any more)."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(UNKNOWN_CONTAINER, f"failed to open netns {path!r}", why)


def inside(path: str, work: Callable[[], T]) -> T:
    """The value (or exception) of `work()`, called in the network namespace at `path`. Blocks.
    Raises NoNamespace when there is none."""
    value: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            enter(path)
            value.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="netns", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return value[0]


def open_namespace(path: str) -> int:
    """A file descriptor of the namespace at `path`, to be closed. Raises NoNamespace."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NoNamespace(path, str(error)) from error


def enter(path: str) -> None:
    """Move the calling thread into the namespace at `path`, for good."""
    handle = open_namespace(path)
    try:
        if _libc.setns(handle, _CLONE_NEWNET):
            number = ctypes.get_errno()
            if number == errno.EINVAL:
                raise NoNamespace(path, "it is no network namespace")
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(handle)


def is_same(path: str) -> bool:
    """Whether the namespace at `path` is the one the calling thread is in."""
    try:
        return os.path.samefile(path, "/proc/thread-self/ns/net")
    except OSError:
        return False


def sysctl(name: str, value: Any) -> None:
    """Set ``net/...`` of the calling thread's namespace, if it isn't so already. A kernel without that
    switch (no IPv6) is left alone."""
    file = Path("/proc/sys") / name
    try:
        if file.read_text().strip() != str(value):
            file.write_text(str(value))
    except FileNotFoundError:
        pass
