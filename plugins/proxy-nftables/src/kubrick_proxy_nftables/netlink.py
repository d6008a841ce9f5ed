"""The few netfilter messages the proxy needs: the rule set's generation, a table's look, tracked connections.

Straight on a netlink socket: each is one small request, asked every few seconds or at each sync, where a
general library would cost more to import than all of this to do. Formats: linux/netlink.h,
linux/netfilter/nfnetlink.h, nf_tables.h and nfnetlink_conntrack.h. Numbers inside attributes are big-endian.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence

from attrs import frozen

NETLINK_NETFILTER = 12
HEADER = struct.Struct("=IHHII")
GENERIC = struct.Struct("!BBH")
ATTRIBUTE = struct.Struct("=HH")
CODE = struct.Struct("=i")
NESTED = 0x8000
TYPE_MASK = 0x3FFF
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
RECEIVE = 1 << 18
TIMEOUT = 5.0

CONNTRACK, TABLES = 1 << 8, 10 << 8
GET_CHAIN, GET_TABLE, GET_GENERATION = TABLES | 4, TABLES | 1, TABLES | 16
GET_FLOW, DELETE_FLOW = CONNTRACK | 1, CONNTRACK | 2
ORIGINAL, REPLY, ZONE, IDENTITY = 1, 2, 18, 12
TUPLE_IP, TUPLE_PROTOCOL = 1, 2
NUMBER, SOURCE_PORT, DESTINATION_PORT = 1, 2, 3
FAMILY = {"ip": socket.AF_INET, "ip6": socket.AF_INET6}
ADDRESSES = {socket.AF_INET: (1, 2), socket.AF_INET6: (3, 4)}
"""Attribute numbers of source and destination in an IP tuple."""


@frozen
class Flow:
    """A tracked connection: where its first packet went, and who answers. `request` deletes it."""

    destination: str
    port: int
    answering: str
    answering_port: int
    request: bytes


class Netfilter:
    """A socket in the network namespace of whoever makes it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.settimeout(TIMEOUT)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def generation(self) -> int:
        for body in self._ask(GET_GENERATION, socket.AF_UNSPEC, b""):
            return _number(dict(attributes(body))[1])
        raise OSError("the kernel didn't say its rule set's generation")

    def fingerprint(self, family: str, table: str, chains: Sequence[str]) -> tuple[int, ...] | None:
        """The table's handle, and handle and number of uses (rules and jumps) of each chain."""
        number = FAMILY[family]
        found: list[int] = []
        try:
            found += [_number(dict(attributes(b))[4]) for b in self._ask(GET_TABLE, number, attribute(1, _text(table)))]
            for chain in chains:
                request = attribute(1, _text(table)) + attribute(3, _text(chain))
                for body in self._ask(GET_CHAIN, number, request):
                    about = dict(attributes(body))
                    found += (_number(about[2]), _number(about[6]))
        except FileNotFoundError:
            return None
        return tuple(found)

    def udp_flows(self, family: str) -> Iterator[Flow]:
        """Every tracked UDP connection of "ip" or "ip6". Raises OSError where nothing is tracked."""
        number = FAMILY[family]
        for body in self._ask(GET_FLOW, number, b"", DUMP):
            flow = _flow(body, number)
            if flow is not None:
                yield flow

    def delete(self, flow: Flow, family: str) -> None:
        """Forget a connection; one that is gone already is fine."""
        try:
            for _ in self._ask(DELETE_FLOW, FAMILY[family], flow.request):
                pass
        except FileNotFoundError:
            pass

    def _ask(self, kind: int, family: int, payload: bytes, flags: int = ACK) -> Iterator[memoryview]:
        """Send one request and yield the attributes of each answer. Raises OSError with the kernel's code."""
        self._sequence += 1
        body = GENERIC.pack(family, 0, 0) + payload
        head = HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, self._sequence, 0)
        self._socket.send(head + body)
        while True:
            received = memoryview(self._socket.recv(RECEIVE))
            while received:
                length, answer, _, sequence, _ = HEADER.unpack_from(received)
                content = received[HEADER.size : length]
                received = received[(length + 3) & ~3 :]
                if sequence != self._sequence:
                    continue  # the rest of an answer that somebody didn't wait for
                if answer == DONE:
                    return
                if answer == ERROR:
                    code = -CODE.unpack_from(content)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                yield content[GENERIC.size :]


def attributes(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        yield kind & TYPE_MASK, data[ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def attribute(kind: int, content: bytes) -> bytes:
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(content), kind) + content + bytes(-len(content) % 4)


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _number(data: memoryview) -> int:
    return int.from_bytes(data, "big")


def _flow(body: memoryview, family: int) -> Flow | None:
    """The UDP flow that an answer describes, None for another protocol's."""
    about = dict(attributes(body))
    original = dict(attributes(about[ORIGINAL]))
    ports = dict(attributes(original[TUPLE_PROTOCOL]))
    if ports[NUMBER][0] != socket.IPPROTO_UDP:
        return None
    source, destination = ADDRESSES[socket.AddressFamily(family)]
    addresses = dict(attributes(original[TUPLE_IP]))
    reply = dict(attributes(about[REPLY]))
    reply_addresses, reply_ports = dict(attributes(reply[TUPLE_IP])), dict(attributes(reply[TUPLE_PROTOCOL]))
    request = attribute(ORIGINAL | NESTED, bytes(about[ORIGINAL]))
    for kept in (ZONE, IDENTITY):
        if kept in about:
            request += attribute(kept, bytes(about[kept]))
    return Flow(
        socket.inet_ntop(family, addresses[destination]),
        _number(ports[DESTINATION_PORT]),
        socket.inet_ntop(family, reply_addresses[source]),
        _number(reply_ports[SOURCE_PORT]),
        request,
    )
