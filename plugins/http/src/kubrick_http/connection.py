"""One connection: reads requests from a stream, has them answered, writes the answers in order.

The loop is sequential, which makes pipelining safe and gives back-pressure for free: nothing more is
read while requests wait for answers. Only while a body is streamed (a watch) does a second task read,
to notice at once that the client has left; a response may also take the connection over (`Upgrade`).
Every phase has a deadline, noted in `deadline` and watched by the `Pulse`; draining ends an idle
connection at once, and others after the answer under way.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from math import inf

import trio
from attrs import frozen

from kubrick_api.errors import StatusError, timed_out
from kubrick_http.parser import BODY, IDLE, Message, Refusal, RequestParser
from kubrick_http.pulse import Pulse
from kubrick_http.response import ByteStream, Response, Stream, Upgrade
from kubrick_http.streams import Resumed, SocketStream, TLSStream
from kubrick_http.writer import CONTINUE, LAST_CHUNK, NO_BODY, chunk, head, status_response, upgrade_head
from kubrick_kernel.log import get_logger

READ_SIZE = 65536
WRITE_SIZE = 65536
"""Large bodies are sent in pieces of about this size: small enough that what TLS makes of one stays in the cache."""
SMALL = 16384
"""Smaller answers may be sent together with those of other connections."""
TIMEOUT = "request did not complete within the allotted timeout"

log = get_logger("http")


@frozen
class Limits:
    """Sizes in bytes, times in seconds. Heads and bodies are timed as a whole: dripping doesn't help."""

    max_body: int = 3 * 1024 * 1024
    head: float = 32.0
    body: float = 60.0
    idle: float = 180.0
    write: float = 60.0
    """For one response, or one piece of a large or streamed one."""
    linger: float = 2.0
    """How long a refused client that is still sending is listened to, so that it gets to read why."""


Serve = Callable[[Message, "Connection"], Awaitable[Response]]


class Connection:
    """Serves `stream` until it ends. `serve` answers a message, does not raise, and may set `deadline`
    (it is infinite when it begins). `certificate` is the verified client certificate in DER, if any; `peer` is
    the client's address."""

    def __init__(
        self,
        stream: ByteStream,
        serve: Serve,
        pulse: Pulse,
        limits: Limits,
        certificate: bytes | None = None,
        peer: str = "",
    ) -> None:
        self.certificate = certificate
        self.peer = peer
        self.deadline = inf
        self.pulse = pulse
        self._stream = stream
        self._send_soon = getattr(stream, "send_soon", stream.send_all)
        self._serve = serve
        self._limits = limits
        self._parser = RequestParser(limits.max_body)
        self._scope = trio.CancelScope()
        self._waiting = False
        self._answering: Message | None = None
        self._draining = False
        self._stream_scope: trio.CancelScope | None = None
        self._early = b""
        """What arrived while a body was streamed: the next requests."""

    def drain(self) -> None:
        """Finish what is being answered, end a streamed body, then close. When idle, close now."""
        self._draining = True
        if self._stream_scope is not None:
            self._stream_scope.cancel()
        elif self._waiting:
            self._scope.cancel()

    def expire(self) -> None:
        """Whatever is under way took too long."""
        self._scope.cancel()

    async def run(self) -> None:
        """Until the peer leaves, misbehaves or is too slow. Closes the stream."""
        self.pulse.add(self)
        try:
            with self._scope:
                await self._loop()
            if self._answering is not None and self._scope.cancelled_caught:
                await self._give_up()
        except Exception as error:
            if not _left(error):
                log.error("a connection failed", exc_info=error)
        finally:
            self.pulse.remove(self)
            with trio.move_on_after(self._limits.linger):
                await self._stream.aclose()

    async def _loop(self) -> None:
        parser = self._parser
        while not self._draining:
            data = parser.rest or self._early or await self._read()
            if parser.rest:
                parser.rest = b""
            else:
                self._early = b""
            if not data:
                return
            before = parser.state
            ready, refusal = parser.feed(bytes(data))
            for index, message in enumerate(ready):
                if index:
                    await trio.lowlevel.checkpoint()
                if not await self._answer(message):
                    return
            if refusal is not None:
                await self._refuse(refusal)
                return
            if parser.state is BODY:
                if ready or before is not BODY:
                    self.deadline = self.pulse.now + self._limits.body
                if parser.wants_continue:
                    parser.wants_continue = False
                    await self._stream.send_all(CONTINUE)
            elif (ready or before is IDLE) and parser.state is not IDLE:
                self.deadline = self.pulse.now + self._limits.head

    async def _read(self) -> bytes | bytearray:
        """The next bytes, b"" at the end."""
        if self._parser.state is not IDLE:
            return await self._stream.receive_some(READ_SIZE)
        self.deadline = self.pulse.now + self._limits.idle
        self._waiting = True
        try:
            return await self._stream.receive_some(READ_SIZE)
        finally:
            self._waiting = False

    async def _answer(self, message: Message) -> bool:
        """Answer one message; whether the connection can go on."""
        self.deadline = inf
        self._answering = message
        response = await self._serve(message, self)
        self._answering = None
        body = response.body
        if type(body) is not bytes and not isinstance(body, bytes | list):
            if isinstance(body, Upgrade):
                return await self._hand_over(message, response, body)
            return await self._answer_streamed(message, response, body)
        keep_alive = message.keep_alive and not self._draining
        length = len(body) if isinstance(body, bytes) else sum(map(len, body))
        start = head(response, length, self.pulse.date, keep_alive=keep_alive, http10=message.http10)
        if message.method == "HEAD" or response.status in NO_BODY:
            await self._send(start)
        elif isinstance(body, bytes) and length < WRITE_SIZE:
            if keep_alive and length < SMALL:
                self.deadline = self.pulse.now + self._limits.write
                await self._send_soon(start + body)
            else:
                await self._send(start + body)
        else:
            await self._send_large([start, body] if isinstance(body, bytes) else [start, *body])
        return keep_alive

    async def flush(self, rest: bytes) -> None:
        """Send what the stream's `send_now` left, within the time that a piece has."""
        assert isinstance(self._stream, SocketStream | TLSStream)
        self.deadline = self.pulse.now + self._limits.write
        await self._stream.send_rest(rest)
        self.deadline = inf

    async def _send(self, data: bytes) -> None:
        self.deadline = self.pulse.now + self._limits.write
        await self._stream.send_all(data)

    async def _send_large(self, pieces: list[bytes]) -> None:
        """Many small pieces in few writes, huge ones in several: the deadline is about progress."""
        pending: list[bytes] = []
        size = 0
        for piece in pieces:
            pending.append(piece)
            size += len(piece)
            if size >= WRITE_SIZE:
                joined = memoryview(b"".join(pending))
                for start in range(0, size, WRITE_SIZE):
                    await self._send(joined[start : start + WRITE_SIZE])  # type: ignore[arg-type]  # a buffer
                pending, size = [], 0
        if pending:
            await self._send(b"".join(pending))

    async def _answer_streamed(
        self, message: Message, response: Response, body: AbstractAsyncContextManager[Stream]
    ) -> bool:
        """Send a streamed body until it ends, the client leaves, or the server drains."""
        keep_alive = message.keep_alive and not message.http10 and not self._draining
        start = head(response, None, self.pulse.date, keep_alive=keep_alive, http10=message.http10)
        if message.method == "HEAD":
            await self._send(start)
            return keep_alive
        async with AsyncExitStack() as stack:
            self._answering = message
            stream: Stream | None = None
            try:
                stream = await stack.enter_async_context(body)
            except StatusError as error:
                start = self._plain(status_response(error), keep_alive=keep_alive)
            self._answering = None
            await self._send(start)
            if stream is None:
                return keep_alive
            if not await self._pump(stream, chunked=not message.http10):
                return False
        if not message.http10:
            await self._send(LAST_CHUNK)
        return keep_alive and not self._draining

    async def _hand_over(self, message: Message, response: Response, body: Upgrade) -> bool:
        """Send the head and leave the connection to another protocol, until that is done or the server drains.
        Whether the connection can go on: only if it was refused."""
        async with AsyncExitStack() as stack:
            self._answering = message
            try:
                run = await stack.enter_async_context(body.opening)
            except StatusError as error:
                run = None
                refusal = self._plain(status_response(error), keep_alive=message.keep_alive and not self._draining)
            self._answering = None
            if run is None:
                await self._send(refusal)
                return message.keep_alive and not self._draining
            await self._send(upgrade_head(response, self.pulse.date))
            self.deadline = inf
            with trio.CancelScope() as self._stream_scope:
                if self._draining:
                    self._stream_scope.cancel()
                early, self._parser.rest = self._parser.rest + self._early, b""
                await run(Resumed(self._stream, early) if early else self._stream)
            self._stream_scope = None
        return False

    async def _pump(self, stream: Stream, *, chunked: bool) -> bool:
        """Pass pieces on as they come; whether the end was a clean one and the client is still there."""
        clean = True
        async with trio.open_nursery() as nursery:
            self._stream_scope = scope = nursery.cancel_scope
            if self._draining:
                scope.cancel()

            async def read_ahead() -> None:
                nonlocal clean
                if not await self._read_ahead():
                    clean = False
                    scope.cancel()

            nursery.start_soon(read_ahead)
            attach = getattr(stream, "attach", None)
            if attach is not None and isinstance(self._stream, SocketStream | TLSStream):
                attach(ConnectionOutlet(self, self._stream, chunked=chunked))
            try:
                self.deadline = inf
                while piece := await stream.next():
                    await self._send(chunk(piece) if chunked else piece)
                    self.deadline = inf
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                clean = False
            except Exception as error:
                log.error("a streamed response failed", exc_info=error)
                clean = False
            scope.cancel()
        self._stream_scope = None
        return clean

    async def _read_ahead(self) -> bool:
        """Keep what the client sends during a streamed answer, up to one read's worth at a time;
        False when it has left."""
        while True:
            if len(self._early) >= READ_SIZE:
                await trio.sleep_forever()
            try:
                data = await self._stream.receive_some(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return False
            if not data:
                return False
            self._early += data

    async def _refuse(self, refusal: Refusal) -> None:
        """Say why nothing more is read, and let the client read it before the connection is reset."""
        self._draining = True
        await self._send(self._plain(status_response(refusal.error), keep_alive=False))
        with trio.move_on_after(self._limits.linger):
            while await self._stream.receive_some(READ_SIZE):
                pass

    async def _give_up(self) -> None:
        """The handler took too long: say so, and close."""
        with trio.move_on_after(self._limits.linger):
            await self._stream.send_all(self._plain(status_response(timed_out(TIMEOUT)), keep_alive=False))

    def _plain(self, response: Response, *, keep_alive: bool) -> bytes:
        """A whole small response."""
        assert isinstance(response.body, bytes)
        return head(response, len(response.body), self.pulse.date, keep_alive=keep_alive) + response.body


class ConnectionOutlet:
    """`Outlet` of a connection over `stream`."""

    def __init__(self, connection: Connection, stream: SocketStream | TLSStream, *, chunked: bool) -> None:
        self._connection = connection
        self._stream = stream
        self._chunked = chunked
        self._rest = b""
        self._broken = False

    def put(self, piece: bytes, framed: bytes) -> bool:
        try:
            self._rest = self._stream.send_now(framed if self._chunked else piece)
        except trio.BrokenResourceError:
            self._broken = True
            return False
        return not self._rest

    async def flush(self) -> None:
        if self._broken:
            raise trio.BrokenResourceError("the peer is gone")
        if self._rest:
            rest, self._rest = self._rest, b""
            await self._connection.flush(rest)


def _left(error: BaseException) -> bool:
    """Whether an error only says that the peer is gone; a body's nursery wraps it in groups."""
    if isinstance(error, BaseExceptionGroup):
        return all(_left(each) for each in error.exceptions)
    return isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError)
