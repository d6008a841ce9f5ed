"""A watch over HTTPS: one answer without end, an event a line, on a connection of its own.

httpx reads a stream through half a dozen nested async generators, which nobody closes when a watch is
left in the middle; under trio that is a warning and a leak until the garbage collector comes by. A
watch needs so little of HTTP that h11 on a trio stream does it better.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import h11
import orjson
import trio
from attrs import frozen

from kubrick_client.refusal import from_status
from kubrick_client.transport import Unreachable, WatchEvent

TIMEOUT = 60.0
CHUNK = 65536
Broken = (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError)


@frozen
class Server:
    """Where to connect. `tls` is None for plain HTTP; `name` is the name its certificate is checked for,
    if that is not the URL's host."""

    url: str
    tls: ssl.SSLContext | None
    name: str = ""

    async def connect(self) -> trio.abc.Stream:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        stream = await trio.open_tcp_stream(host, parts.port or (443 if self.tls else 80))
        if self.tls is None:
            return stream
        return trio.SSLStream(stream, self.tls, server_hostname=self.name or host, https_compatible=True)


def no_answer(server: str, error: Exception) -> Unreachable:
    return Unreachable(f"no answer from {server}: {str(error) or type(error).__name__}")


class Answer:
    """An HTTP answer whose body is read as it comes."""

    def __init__(self, stream: trio.abc.Stream, connection: h11.Connection, head: h11.Response) -> None:
        self._stream = stream
        self._connection = connection
        self.code = head.status_code
        self.headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}

    async def more(self) -> bytes:
        """The next piece of the body; b"" at its end."""
        event = await _event(self._stream, self._connection)
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def read(self) -> bytes:
        """All of it."""
        body = b""
        while piece := await self.more():
            body += piece
        return body


@asynccontextmanager
async def opened(server: Server, target: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
    """GET `target` and hand out the answer once its head is in. Raises Unreachable."""
    stream: trio.abc.Stream | None = None
    try:
        try:
            with trio.fail_after(TIMEOUT):
                stream = await server.connect()
                answer = await _ask(stream, server, target, headers)
        except (*Broken, trio.TooSlowError) as error:
            raise no_answer(server.url, error) from None
        yield answer
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


async def _ask(stream: trio.abc.Stream, server: Server, target: str, headers: Mapping[str, str]) -> Answer:
    connection = h11.Connection(h11.CLIENT)
    parts = urlsplit(server.url)
    given = [("Host", parts.netloc), *headers.items(), ("Connection", "close")]
    request = h11.Request(method="GET", target=parts.path + target, headers=given)
    await stream.send_all((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    while True:
        event = await _event(stream, connection)
        if isinstance(event, h11.Response):
            return Answer(stream, connection, event)
        if not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("the connection was closed before an answer")


async def _event(stream: trio.abc.Stream, connection: h11.Connection) -> Any:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        connection.receive_data(bytes(await stream.receive_some(CHUNK)))


class LineStream:
    """`WatchStream` over a streamed answer: one JSON object a line."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._rest = b""

    async def receive(self) -> list[WatchEvent]:
        """Everything that arrived at once; [] at the end of the stream, or when it broke off."""
        while True:
            try:
                piece = await self._answer.more()
            except Broken:
                return []
            if not piece:
                return []
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if events := [_watch_event(line) for line in lines if line.strip()]:
                return events


def _watch_event(line: bytes) -> WatchEvent:
    event = orjson.loads(line)
    if event["type"] == "ERROR":
        raise from_status(event["object"], 500)
    return WatchEvent(event["type"], event["object"])
