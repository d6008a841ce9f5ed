"""Asks the kernel what is in nftables' tables, in its own words: some microseconds, where a listing by the library
takes milliseconds. Enough to tell that something is gone, not what it means.

Formats: linux/netlink.h, nfnetlink.h, nf_tables.h.
"""

import os
import socket
import struct
from collections.abc import Iterator

_NETLINK_NETFILTER = 12
_ERROR, _DONE = 2, 3
_TABLES = 10 << 8
_GET_TABLE, _GET_RULE, _GET_SET, _GET_ELEMENT, _GET_GENERATION = (_TABLES | kind for kind in (1, 7, 10, 13, 16))
_INET = 1
_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_HEADER, _GENERIC = struct.Struct("=IHHII"), struct.Struct("!BBH")
_ATTRIBUTE, _CODE = struct.Struct("=HH"), struct.Struct("=i")
_TABLE_NAME, _TABLE_HANDLE, _SET_NAME, _ELEMENTS, _GENERATION = 1, 4, 2, 3, 1
_PLACES = frozenset((3, 6))
"""A rule's handle, and that of the rule before it: the same rule may have others tomorrow."""


class Netfilter:
    """A socket to ask through, of the namespace of the thread that makes it. Blocks, at most `seconds` a question."""

    def __init__(self, seconds: float) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()

    def generation(self) -> int:
        """Another one after each transaction, whoever's it was."""
        return _number(dict(attributes(self._ask(_GET_GENERATION, 0)[0]))[_GENERATION])

    def table(self, name: str) -> int:
        """The handle of an inet table, 0 if there is none."""
        try:
            return _number(dict(attributes(self._ask(_GET_TABLE, _ACK, _name(1, name))[0]))[_TABLE_HANDLE])
        except FileNotFoundError:
            return 0

    def pieces(self, table: str) -> frozenset[bytes]:
        """The rules of an inet table and the elements of its sets and maps, as the kernel writes them."""
        chosen = _name(_TABLE_NAME, table)
        found = {_rule(one) for one in self._ask(_GET_RULE, _DUMP, chosen)}
        for one in self._ask(_GET_SET, _DUMP, chosen):
            found.update(self._elements(chosen, bytes(dict(attributes(one))[_SET_NAME])))
        return frozenset(found)

    def _elements(self, chosen: bytes, name: bytes) -> Iterator[bytes]:
        try:
            parts = self._ask(_GET_ELEMENT, _DUMP, chosen + _attribute(_SET_NAME, name))
        except FileNotFoundError:
            return  # gone since the sets were listed: there is a new generation
        for part in parts:
            listed = dict(attributes(part)).get(_ELEMENTS, memoryview(b""))
            yield from (name + bytes(element) for _, element in attributes(listed))

    def _ask(self, kind: int, flags: int, payload: bytes = b"") -> list[memoryview]:
        """The attributes of each answer. Raises OSError."""
        body = _GENERIC.pack(_INET if payload else 0, 0, 0) + payload
        wanted = flags or _ACK
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | wanted, 0, 0) + body)
        answers: list[memoryview] = []
        while True:
            for told, content in messages(memoryview(self._socket.recv(1 << 16))):
                if told not in (_ERROR, _DONE):
                    answers.append(content[_GENERIC.size :])
                elif code := -_CODE.unpack_from(content)[0]:
                    raise OSError(code, os.strerror(code))
                else:
                    return answers


def messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Kind and content of each message in what was received at once. Pure."""
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def attributes(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and value of each attribute. Pure."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _rule(data: memoryview) -> bytes:
    """A rule wherever it stands in its chain."""
    return b"".join(bytes(value) for kind, value in attributes(data) if kind not in _PLACES)


def _name(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _number(data: memoryview) -> int:
    return int.from_bytes(data, "big")
