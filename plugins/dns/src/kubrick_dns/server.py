"""Serves questions over UDP and TCP. Thin: replies.py makes the messages, records.py knows the answers."""

from collections.abc import Callable

import trio
from dnslib import DNSRecord

from kubrick_dns.forward import Forwarder
from kubrick_dns.records import Answer, Records
from kubrick_dns.replies import Malformed, name_of, packed, parse, refuse, reply_to, type_of, udp_room
from kubrick_kernel.clock import Random

CHAIN_LIMIT = 8
IDLE_SECONDS = 10.0
IN_FLIGHT = 512
"""Questions that may wait for upstream servers at once; more are answered SERVFAIL."""


class Server:
    """Answers questions. `serial` is the zone's version: any number that grows with its changes."""

    def __init__(
        self,
        records: Records,
        forwarder: Forwarder | None,
        ttl: int,
        serial: Callable[[], int],
        generator: Random,
    ) -> None:
        self._records = records
        self._forwarder = forwarder
        self._ttl = ttl
        self._serial = serial
        self._random = generator
        self._waiting = 0

    async def answer(self, data: bytes, room: int | None) -> bytes | None:
        """The reply to a message; None for what deserves none. `room` None means UDP's."""
        try:
            question = parse(data)
        except Malformed:
            return None
        reply = await self._reply(question)
        return packed(reply, udp_room(question) if room is None else room)

    async def _reply(self, question: DNSRecord) -> DNSRecord:
        if question.header.opcode != 0:
            return refuse(question, "NOTIMP")
        name = name_of(question)
        if self._records.owns(name):
            answer = self._follow(name, type_of(question))
            return reply_to(question, answer, self._records, self._ttl, self._serial())
        if self._forwarder is None:
            return refuse(question, "REFUSED")
        if self._waiting >= IN_FLIGHT:
            return refuse(question, "SERVFAIL")
        self._waiting += 1
        try:
            return await self._forwarder.ask(question) or refuse(question, "SERVFAIL")
        finally:
            self._waiting -= 1

    def _follow(self, name: str, kind: str) -> Answer:
        """The answer, with what an alias inside the cluster leads to."""
        answer = self._records.answer(name, kind)
        records = list(answer.records)
        for _ in range(CHAIN_LIMIT):
            last = records[-1] if records else None
            if last is None or last.type != "CNAME" or kind == "CNAME" or not self._records.owns(last.data):
                break
            records += self._records.answer(last.data, kind).records
        if all(record.type != "CNAME" for record in records):
            self._random.shuffle(records)  # spread clients over addresses that are alike
        return Answer(answer.exists, tuple(records), answer.additional)

    async def serve_udp(self, socket: trio.socket.SocketType) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                data, address = await socket.recvfrom(65535)
                nursery.start_soon(self._answer_udp, socket, data, address)

    async def _answer_udp(self, socket: trio.socket.SocketType, data: bytes, address: tuple[object, ...]) -> None:
        reply = await self.answer(data, None)
        if reply is not None:
            try:
                await socket.sendto(reply, address)
            except OSError:
                return  # whoever asked is gone

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """One TCP connection: messages with their length in front, answered in order."""
        buffer = bytearray()
        try:
            while True:
                while len(buffer) < 2 or len(buffer) < 2 + int.from_bytes(buffer[:2]):
                    with trio.fail_after(IDLE_SECONDS):
                        piece = await stream.receive_some(65536)
                    if not piece:
                        return
                    buffer += piece
                length = int.from_bytes(buffer[:2])
                reply = await self.answer(bytes(buffer[2 : 2 + length]), 65535)
                del buffer[: 2 + length]
                if reply is None:
                    return
                await stream.send_all(len(reply).to_bytes(2) + reply)
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            await trio.aclose_forcefully(stream)
