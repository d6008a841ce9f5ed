"""Notices when somebody else takes the network's links or rules away.

Links are told of by rtnetlink. Rules are not listened to, for the kernel would then copy each transaction of the
proxy for us; instead its generation number is asked for every second, and only a new one makes us look whether
everything that was in the tables still is, but for what belonged to containers that we have detached since.
Formats: linux/rtnetlink.h, if_link.h.
"""

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

import trio
from attrs import define, field

from kubrick_network.netfilter import Netfilter, attributes, messages

LOOK_SECONDS = 1.0
LEAVING = 512
"""So many of the containers that were detached last are remembered."""
_NETLINK_ROUTE = 0
_LINK_GROUP = 1
_NEW_LINK, _DELETE_LINK, _NAME = 16, 17, 3
_UP = 1
_LINK = struct.Struct("=BxHiII")


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
    for kind, content in messages(memoryview(data)):
        if kind not in (_NEW_LINK, _DELETE_LINK):
            continue
        flags = _LINK.unpack_from(content)[3]
        if kind == _DELETE_LINK or not flags & _UP:
            name = dict(attributes(content[_LINK.size :])).get(_NAME)
            if name is not None:
                yield bytes(name).rstrip(b"\0").decode(errors="replace")


class Ruleset(Protocol):
    """What can be asked of nftables (`Netfilter` asks the kernel)."""

    def generation(self) -> int: ...

    def table(self, name: str) -> int: ...

    def pieces(self, table: str) -> frozenset[bytes]: ...

    def close(self) -> None: ...


@define(eq=False)
class Tables:
    """The inet tables `names`: calls `lost` whenever one of them is deleted or replaced, or something in it."""

    _names: tuple[str, ...]
    _lost: Callable[[], object]
    _open: Callable[[], Ruleset] = lambda: Netfilter(LOOK_SECONDS)
    _look: trio.Event = field(factory=trio.Event, init=False)
    _leaving: deque[bytes] = field(factory=lambda: deque(maxlen=LEAVING), init=False)
    _generation: int = field(default=-1, init=False)
    _known: dict[str, tuple[int, frozenset[bytes]]] = field(factory=dict, init=False)

    def leaving(self, container_id: str) -> None:
        """What has this in its comment is about to go, and not to be missed. From any thread."""
        if container_id:
            self._leaving.append(container_id.encode())

    def changed(self) -> None:
        """We did something: so that what is lost within the second is known to have been there."""
        self._look.set()

    async def run(self) -> None:
        asked = self._open()
        try:
            while True:
                self._look = trio.Event()
                self.look(asked)
                with trio.move_on_after(LOOK_SECONDS):
                    await self._look.wait()
        finally:
            asked.close()

    def look(self, asked: Ruleset) -> None:
        """Once. Raises OSError."""
        now = asked.generation()
        if now == self._generation:
            return
        self._generation = now
        lost = False
        for name in self._names:
            handle = asked.table(name)
            pieces = asked.pieces(name) if handle else frozenset()
            before, there = self._known.get(name, (0, frozenset()))
            self._known[name] = (handle, pieces)
            missed = [piece for piece in there - pieces if not any(one in piece for one in self._leaving)]
            lost = lost or bool(missed) or before not in (0, handle)
        if lost:
            self._lost()
