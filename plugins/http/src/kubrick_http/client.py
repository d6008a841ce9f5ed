"""An HTTP/1.1 exchange with a node's agent, a pod or a container runtime, and the connection behind it.

One connection per exchange: what is proxied is long or upgrades the connection. `dial` and `exchange`
raise `Unanswered` with a reason in Go's words, which is what users of Kubernetes know.
"""

import errno
import os
import socket as stdlib_socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httptools
import trio
from attrs import frozen

from kubrick_http.response import ByteStream
from kubrick_http.streams import Resumed, SocketStream, TLSStream

DIAL_TIMEOUT = 30.0
HEAD_TIMEOUT = 600.0
READ_SIZE = 65536
MAX_HEAD = 1024 * 1024
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)
Fields = list[tuple[str, str]]


class Unanswered(Exception):
    """There was no answer: no connection, or none that makes sense. The text says why."""


@frozen
class Address:
    """Where to, and how to trust it: without `tls` in plain text; `server_name` if it isn't the host's.
    A `host` that begins with "/" is a Unix socket."""

    host: str
    port: int = 0
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def dial(address: Address, timeout: float = DIAL_TIMEOUT) -> ByteStream:
    """A connection. Raises `Unanswered`."""
    with trio.move_on_after(timeout):
        plain = SocketStream(await _connect(address))
        if address.tls is None:
            return plain
        stream = TLSStream(plain, address.tls, address.server_name or address.host)
        try:
            await stream.handshake()
        except BaseException as error:
            await plain.aclose()
            if isinstance(error, trio.BrokenResourceError):
                raise Unanswered(f"tls: {error}") from error
            raise
        return stream
    raise Unanswered(f"dial tcp {address}: i/o timeout")


async def _connect(address: Address) -> stdlib_socket.socket:
    """A connected socket, non-blocking and without delay."""
    found: Sequence[tuple[int, object]]
    try:
        if address.host.startswith("/"):
            found = [(stdlib_socket.AF_UNIX, address.host)]
        else:
            looked_up = await trio.socket.getaddrinfo(address.host, address.port, type=stdlib_socket.SOCK_STREAM)
            found = [(each[0], each[4]) for each in looked_up]
    except OSError:
        raise Unanswered(f"dial tcp: lookup {address.host}: no such host") from None
    reason = ""
    for family, where in found:
        socket = trio.socket.socket(family, stdlib_socket.SOCK_STREAM)
        try:
            await socket.connect(where)
        except BaseException as error:
            socket.close()
            if not isinstance(error, OSError):
                raise
            text = errno.errorcode.get(error.errno or 0, "")
            reason = "connect: connection refused" if text == "ECONNREFUSED" else os.strerror(error.errno or 0).lower()
            continue
        plain = stdlib_socket.socket(fileno=socket.detach())
        plain.setblocking(False)
        if family != stdlib_socket.AF_UNIX:
            plain.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        return plain
    raise Unanswered(f"dial tcp {address}: {reason}")


class Answer:
    """A response whose head has come. `fields` are all its headers, `headers` the last of each by lower-case name."""

    def __init__(self, stream: ByteStream, method: str) -> None:
        self.stream = stream
        self.status = 0
        self.reason = ""
        self.fields: Fields = []
        self.headers: dict[str, str] = {}
        self._method = method
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._headed = False
        self._complete = False
        self._rest = b""

    # httptools' callbacks

    def on_status(self, status: bytes) -> None:
        self.reason += status.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200 and self.status != 101:
            self.fields, self.reason = [], ""  # an interim answer
            return
        self.headers = {name.lower(): value for name, value in self.fields}
        self._headed = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._headed:
            self._complete = True

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise Unanswered(f"malformed HTTP response: {error}") from error

    async def read_head(self) -> None:
        """Until the head is complete. Raises `Unanswered`."""
        size = 0
        while not self._headed:
            try:
                data = await self.stream.receive_some(READ_SIZE)
            except GONE:
                data = b""
            size += len(data)
            if not data or size > MAX_HEAD:
                raise Unanswered("EOF" if not data else "the response's head is too large")
            self._feed(bytes(data))
        if self._method == "HEAD" or self.status in (204, 304):
            self._complete = True

    async def next(self) -> bytes:
        """The next piece of the body; b"" at its end (or where it broke off: `complete` says)."""
        while not self._pieces and not self._complete:
            try:
                data = await self.stream.receive_some(READ_SIZE)
            except GONE:
                data = b""
            if not data:
                return b""
            self._feed(bytes(data))
        body = b"".join(self._pieces)
        self._pieces.clear()
        return body

    async def read(self, limit: int = 64 * 1024) -> bytes:
        """The body, as far as `limit`."""
        body = b""
        while len(body) < limit and (piece := await self.next()):
            body += piece
        return body[:limit]

    def upgraded(self) -> ByteStream:
        """The connection after a 101."""
        rest, self._rest = self._rest, b""
        return Resumed(self.stream, rest) if rest else self.stream


@asynccontextmanager
async def exchange(
    address: Address, method: str, target: str, fields: Fields, body: bytes = b"", timeout: float = HEAD_TIMEOUT
) -> AsyncIterator[Answer]:
    """Send a request and wait, `timeout` seconds at most, for the head of its response. Raises `Unanswered`.
    The connection is closed with the block. `fields` hold neither Host nor Content-Length."""
    stream = await dial(address)
    try:
        given = {name.lower() for name, _ in fields}
        head = f"{method} {target} HTTP/1.1\r\n"
        if "host" not in given:
            head += f"Host: {'localhost' if address.host.startswith('/') else address}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields)
        if body or method not in ("GET", "HEAD", "OPTIONS"):
            head += f"Content-Length: {len(body)}\r\n"
        if "connection" not in given:
            head += "Connection: close\r\n"
        answer = Answer(stream, method)
        with trio.move_on_after(timeout) as scope:
            try:
                await stream.send_all(f"{head}\r\n".encode("latin-1", "replace") + body)
            except GONE:
                pass  # it may have answered all the same, and closed
            await answer.read_head()
        if scope.cancelled_caught:
            raise Unanswered("timeout awaiting response headers")
        yield answer
    finally:
        with trio.move_on_after(1, shield=True):
            await stream.aclose()
