"""Notices when somebody else takes the network's links or rules away.

Links are told of by rtnetlink. Rules are not listened to, for the kernel would then copy each transaction of the
proxy for us; instead its generation number is asked for every second, and only a new one makes us look whether the
tables are still those that we know. Formats: linux/rtnetlink.h, if_link.h, nfnetlink.h, nf_tables.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator

import trio

LOOK_SECONDS = 1.0
_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_LINK_GROUP = 1
_NEW_LINK, _DELETE_LINK, _NAME = 16, 17, 3
_UP = 1
_ERROR = 2
_TABLES = 10 << 8
_GET_TABLE, _GET_GENERATION = _TABLES | 1, _TABLES | 16
_INET = 1
_REQUEST, _ACK = 1, 4
_HEADER, _LINK, _GENERIC = struct.Struct("=IHHII"), struct.Struct("=BxHiII"), struct.Struct("!BBH")
_ATTRIBUTE, _CODE = struct.Struct("=HH"), struct.Struct("=i")


async def lost_links(wanted: Callable[[], set[str]], lost: Callable[[], object]) -> None:
    """Call `lost` whenever one of the interfaces `wanted` is deleted, taken off its bridge or set down."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as plain:
        plain.bind((0, _LINK_GROUP))
        listening = trio.socket.from_stdlib_socket(plain)
        while True:
            try:
                data = await listening.recv(1 << 16)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost()  # some were missed
                continue
            if not wanted().isdisjoint(gone(data)):
                lost()


def gone(data: bytes) -> Iterator[str]:
    """The interfaces that a bundle of rtnetlink's messages says are gone or down. Pure."""
    for kind, content in _messages(memoryview(data)):
        if kind not in (_NEW_LINK, _DELETE_LINK):
            continue
        flags = _LINK.unpack_from(content)[3]
        if kind == _DELETE_LINK or not flags & _UP:
            name = dict(_attributes(content[_LINK.size :])).get(_NAME)
            if name is not None:
                yield bytes(name).rstrip(b"\0").decode(errors="replace")


class Tables:
    """The inet tables `names`: calls `lost` whenever one of them is deleted or replaced."""

    def __init__(self, names: tuple[str, ...], lost: Callable[[], object]) -> None:
        self._names = names
        self._lost = lost
        self._look = trio.Event()

    def changed(self) -> None:
        """We did something: so that a table that is lost within the second is known to have been there."""
        self._look.set()

    async def run(self) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as asked:
            asked.bind((0, 0))
            asked.settimeout(LOOK_SECONDS)
            generation, known = -1, dict.fromkeys(self._names, 0)
            while True:
                self._look = trio.Event()
                now = _generation(asked)
                if now != generation:
                    generation = now
                    found = {name: _table(asked, name) for name in self._names}
                    if any(known[name] not in (0, found[name]) for name in self._names):
                        self._lost()
                    known = found
                with trio.move_on_after(LOOK_SECONDS):
                    await self._look.wait()


def _generation(asked: socket.socket) -> int:
    return _number(_ask(asked, _GET_GENERATION, 0, b"")[1])


def _table(asked: socket.socket, name: str) -> int:
    """The table's handle, 0 if there is none."""
    text = name.encode() + b"\0"
    request = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(text), 1) + text + bytes(-len(text) % 4)
    try:
        return _number(_ask(asked, _GET_TABLE, _INET, request)[4])
    except FileNotFoundError:
        return 0


def _ask(asked: socket.socket, kind: int, family: int, payload: bytes) -> dict[int, memoryview]:
    """The attributes of the one answer. The kernel has it ready when the request is sent. Raises OSError."""
    body = _GENERIC.pack(family, 0, 0) + payload
    asked.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _ACK, 0, 0) + body)
    answer: dict[int, memoryview] = {}
    while True:
        for told, content in _messages(memoryview(asked.recv(1 << 16))):
            if told != _ERROR:
                answer = dict(_attributes(content[_GENERIC.size :]))
            elif code := -_CODE.unpack_from(content)[0]:
                raise OSError(code, os.strerror(code))
            else:
                return answer


def _messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _number(data: memoryview) -> int:
    return int.from_bytes(data, "big")
