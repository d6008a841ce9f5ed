"""Names outside the cluster: asked of upstream servers, and remembered for a while."""

from collections import OrderedDict
from pathlib import Path

import trio
from attrs import frozen
from dnslib import QTYPE, DNSError, DNSRecord

from kubrick_kernel import ConfigurationError

TRIES = 2
TRY_SECONDS = 2.0
REMEMBER_LIMIT = 30.0
"""Seconds an upstream's answer is remembered at most, found or not found."""
SIZE = 4096


@frozen
class Remembered:
    until: float
    reply: bytes


def servers(upstream: str) -> list[tuple[str, int]]:
    """The addresses that the setting means. Raises ConfigurationError."""
    if upstream.startswith("/"):
        try:
            lines = Path(upstream).read_text().splitlines()
        except OSError as error:
            raise ConfigurationError(f"[plugins.dns] upstream: {upstream}: {error.strerror}") from None
        found = [line.split()[1] for line in lines if line.startswith("nameserver ") and len(line.split()) > 1]
    else:
        found = [part.strip() for part in upstream.split(",") if part.strip()]
    return [_address(text) for text in found]


def _address(text: str) -> tuple[str, int]:
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port.isdigit():
            raise ConfigurationError(f"[plugins.dns] upstream: {text!r} is not HOST or HOST:PORT")
        return host, int(port)
    return text, 53


class Forwarder:
    """Asks upstream servers in turn. Answers are remembered by name and type."""

    def __init__(self, upstreams: list[tuple[str, int]]) -> None:
        self._upstreams = upstreams
        self._memory: OrderedDict[tuple[str, int], Remembered] = OrderedDict()

    async def ask(self, question: DNSRecord) -> DNSRecord | None:
        """Their answer, with the question's id; None when nobody answers."""
        key = (str(question.q.qname).lower(), question.q.qtype)
        known = self._memory.get(key)
        if known is not None and known.until > trio.current_time():
            reply = DNSRecord.parse(known.reply)
        else:
            found = await self._ask_anybody(question.pack())
            if found is None:
                return None
            reply = DNSRecord.parse(found)
            self._remember(key, reply, found)
        reply.header.id = question.header.id
        return reply

    def _remember(self, key: tuple[str, int], reply: DNSRecord, data: bytes) -> None:
        ttls = [record.ttl for record in (*reply.rr, *reply.auth) if record.rtype != QTYPE.OPT]
        seconds = min([REMEMBER_LIMIT, *ttls]) if ttls else 0.0
        if reply.header.rcode not in (0, 3) or reply.header.tc or seconds <= 0:
            return
        self._memory[key] = Remembered(trio.current_time() + seconds, data)
        self._memory.move_to_end(key)
        while len(self._memory) > SIZE:
            self._memory.popitem(last=False)

    async def _ask_anybody(self, data: bytes) -> bytes | None:
        for _ in range(TRIES):
            for server in self._upstreams:
                found = await self._ask_one(data, server)
                if found is not None:
                    return found
        return None

    async def _ask_one(self, data: bytes, server: tuple[str, int]) -> bytes | None:
        family = trio.socket.AF_INET6 if ":" in server[0] else trio.socket.AF_INET
        with trio.move_on_after(TRY_SECONDS), trio.socket.socket(family, trio.socket.SOCK_DGRAM) as socket:
            try:
                await socket.connect(server)
                await socket.send(data)
                while True:
                    found = await socket.recv(65535)
                    if found[:2] == data[:2] and _same_question(found, data):
                        return found
            except OSError:
                return None
        return None


def _same_question(reply: bytes, question: bytes) -> bool:
    try:
        return bool(DNSRecord.parse(reply).q == DNSRecord.parse(question).q)
    except (DNSError, ValueError, IndexError):
        return False
