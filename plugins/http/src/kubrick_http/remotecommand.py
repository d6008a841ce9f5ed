"""Exec and attach: the streams of a command, from a client to whatever runs it.

A `Session` is the side that runs the command, a `Peer` the side that asked; `relay` joins them. A client's
upgrade request becomes a peer (`handshake`: WebSocket or SPDY), and a session comes from a streaming
server (`spdy_session`): a node's agent, or a container runtime. So the API server and the agent do the
same thing, and a session in this process needs no server at all.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import trio
from attrs import frozen

from kubrick_api.errors import StatusError, bad_request
from kubrick_http import channels
from kubrick_http.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT, SUCCESS, Piece
from kubrick_http.client import Address, Fields, Unanswered, exchange
from kubrick_http.multiplexer import Multiplexer, Substream, multiplexed
from kubrick_http.response import ByteStream, Response, TakeOver, Upgrade
from kubrick_http.websocket import WebSocket, accept, drain, is_upgrade, is_websocket, offered

STREAM_PROTOCOL = "x-stream-protocol-version"
STREAMS_TIMEOUT = 30.0
MAX_STATUS = 64 * 1024
PIECE = 32768
NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@frozen
class Streams:
    """Which streams are wanted. With a `tty` there is no stderr of its own."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels there are, the error channel among them."""
        wanted = {STDIN: self.stdin, STDOUT: self.stdout, STDERR: self.stderr and not self.tty}
        return (*(channel for channel, there in wanted.items() if there), ERROR, *((RESIZE,) if self.tty else ()))


class Session(Protocol):
    """A command under way, as its user sees it. One task may receive while another sends."""

    async def receive(self) -> Piece | None:
        """Output (STDOUT, STDERR), and in the end a Status in JSON (ERROR); None when it broke off."""
        ...

    async def send(self, channel: int, data: bytes) -> None:
        """Input (STDIN) or a terminal's new size (RESIZE, {"Width": 80, "Height": 24}). Raises
        trio.BrokenResourceError when nobody takes it any more."""
        ...

    async def close_stdin(self) -> None: ...


class Peer(Protocol):
    """Whoever asked for a command, as the side that runs it sees them."""

    async def receive(self) -> Piece | None:
        """Input (b"" is its end) or a terminal's new size; None when they have left."""
        ...

    async def send(self, channel: int, data: bytes) -> None:
        """Output. Raises trio.BrokenResourceError when they have left."""
        ...

    async def finish(self, status: bytes) -> None:
        """The command's end, a Status in JSON; nothing is sent after it."""
        ...


async def relay(peer: Peer, session: Session) -> None:
    """Pass everything on, both ways, until the session ends or the peer leaves."""

    async def inward(scope: trio.CancelScope) -> None:
        try:
            while (piece := await peer.receive()) is not None:
                channel, data = piece
                if channel == STDIN and not data:
                    await session.close_stdin()
                else:
                    try:
                        await session.send(channel, data)
                    except GONE:
                        if channel == RESIZE:
                            continue
                        await _discard(peer)  # the command reads no more; its output still counts
                        break
        except GONE:
            pass
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(inward, nursery.cancel_scope)
        status = channels.failure_status("the connection to the container broke")
        try:
            while (piece := await session.receive()) is not None:
                if piece[0] == ERROR:
                    status = piece[1]
                    break
                await peer.send(*piece)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await peer.finish(status)
        except GONE:
            nursery.cancel_scope.cancel()


async def _discard(peer: Peer) -> None:
    """Wait until the peer leaves."""
    while await peer.receive() is not None:
        pass


# The client's side of the connection


@frozen
class Handshake:
    """How the streams will be spoken. `headers` are those of the 101."""

    protocol: channels.Protocol
    websocket: bool
    headers: list[tuple[str, str]]

    def response(self, wanted: Streams, opening: AbstractAsyncContextManager[Session]) -> Response:
        """The answer: `opening` is entered (and may refuse) before the client hears anything."""
        return Response(101, body=Upgrade(self._upgrade(wanted, opening)), headers=self.headers)

    @asynccontextmanager
    async def _upgrade(self, wanted: Streams, opening: AbstractAsyncContextManager[Session]) -> AsyncIterator[TakeOver]:
        async with opening as session:

            async def serve(stream: ByteStream) -> None:
                async with self.peer(stream, wanted) as peer:
                    if peer is not None:
                        await relay(peer, session)

            yield serve

    @asynccontextmanager
    async def peer(self, stream: ByteStream, wanted: Streams) -> AsyncIterator[Peer | None]:
        """The client at the other end of `stream`; None when it doesn't open the streams it asked for."""
        if self.websocket:
            socket = WebSocket(stream)
            peer = WebSocketPeer(socket, self.protocol, wanted)
            try:
                await peer.greet()
            except GONE:
                yield None
                return
            try:
                yield peer
            except GONE:
                return
            await socket.close()
            return
        async with multiplexed(stream, client=False) as multiplexer:
            found = await _opened(multiplexer, wanted, self.protocol)
            yield SPDYPeer(multiplexer, found, self.protocol) if found is not None else None
        await drain(stream)


def handshake(headers: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> Handshake:
    """What a request to exec or attach wants to speak. Raises StatusError 400 or 403."""
    if is_websocket(headers):
        names = offered(headers, lists, "sec-websocket-protocol")
        chosen = channels.choose(names, channels.WEBSOCKET)
        if chosen is None:
            raise _not_negotiated(names, channels.WEBSOCKET)
        return Handshake(chosen, True, accept(headers, chosen.name))
    if is_upgrade(headers, "spdy/3.1"):
        names = offered(headers, lists, STREAM_PROTOCOL)
        chosen = channels.choose(names, channels.SPDY)
        if chosen is None:
            raise _not_negotiated(names, channels.SPDY)
        return Handshake(chosen, False, spdy_headers(chosen.name))
    raise bad_request("Upgrade request required")


def spdy_headers(protocol: str) -> list[tuple[str, str]]:
    """The headers of a 101 to SPDY."""
    found = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
    return [*found, ("X-Stream-Protocol-Version", protocol)] if protocol else found


def _not_negotiated(names: Sequence[str], known: Mapping[str, object]) -> StatusError:
    supported = [name for name in known if name]
    return StatusError(
        403,
        "Forbidden",
        f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(names)}], "
        f"server accepts [{' '.join(supported)}]",
        headers=tuple(("X-Accepted-Stream-Protocol-Versions", name) for name in supported),
    )


class WebSocketPeer:
    """A client by WebSocket."""

    def __init__(self, socket: WebSocket, protocol: channels.Protocol, wanted: Streams) -> None:
        self._socket = socket
        self._protocol = protocol
        self._wanted = wanted
        self._decoder = channels.Decoder(protocol)

    async def greet(self) -> None:
        """An empty message on the first output channel says that the streams are there."""
        for channel in (STDOUT, STDERR):
            if channel in self._wanted.channels:
                await self.send(channel, b"")
                return

    async def receive(self) -> Piece | None:
        while (piece := await self._socket.receive()) is not None:
            try:
                found = self._decoder.feed(piece.data, piece.first, piece.last)
            except channels.MalformedMessage as error:
                await self._socket.close(1002, str(error))
                return None
            if found is not None and found[0] in self._wanted.channels:
                return found
        return None

    async def send(self, channel: int, data: bytes) -> None:
        for start in range(0, len(data) or 1, PIECE):
            encoded = channels.encode(self._protocol, channel, data[start : start + PIECE])
            if self._protocol.text:
                await self._socket.send_text(encoded.decode())
            else:
                await self._socket.send_bytes(encoded)

    async def finish(self, status: bytes) -> None:
        told = status if self._protocol.version >= 4 else channels.as_text(status)
        if told:
            await self.send(ERROR, told)


async def _opened(
    multiplexer: Multiplexer, wanted: Streams, protocol: channels.Protocol
) -> dict[int, Substream] | None:
    """The streams a client opens, by channel; None when they don't come in time."""
    expected = set(wanted.channels)
    if protocol.version < 3:
        expected.discard(RESIZE)
    found: dict[int, Substream] = {}
    with trio.move_on_after(STREAMS_TIMEOUT):
        while expected - found.keys():
            stream = await multiplexer.accept()
            if stream is None:
                return None
            channel = NAMES.get(stream.headers.get("streamtype", ""))
            if channel not in expected or channel in found:
                await stream.aclose()
            else:
                found[channel] = stream
        return found
    return None


class SPDYPeer:
    """A client by SPDY: a stream per channel."""

    def __init__(self, multiplexer: Multiplexer, streams: dict[int, Substream], protocol: channels.Protocol) -> None:
        self._streams = streams
        self._protocol = protocol
        self._multiplexer = multiplexer
        self._merged = Merged([(channel, streams[channel]) for channel in (STDIN, RESIZE) if channel in streams])

    async def receive(self) -> Piece | None:
        piece = await self._merged.receive()
        while piece is not None and piece[0] == RESIZE and not piece[1]:
            piece = await self._merged.receive()
        if piece is None:
            await self._multiplexer.over.wait()
        return piece

    async def send(self, channel: int, data: bytes) -> None:
        if channel in self._streams:
            await self._streams[channel].send_all(data)

    async def finish(self, status: bytes) -> None:
        told = status if self._protocol.version >= 4 else channels.as_text(status)
        if told:
            await self._streams[ERROR].send_all(told)
        for stream in self._streams.values():
            await stream.send_eof()


class Merged:
    """Several streams read as one, without tasks of its own. Each one's end is a piece of b""."""

    def __init__(self, streams: Sequence[tuple[int, Substream]]) -> None:
        self._open = dict(streams)

    async def receive(self) -> Piece | None:
        """A piece of whichever has one; None when all have ended."""
        while self._open:
            waiting = []
            for channel, stream in list(self._open.items()):
                if stream.readable:
                    try:
                        data = await stream.receive_some(PIECE)
                    except trio.BrokenResourceError:
                        data = b""  # streaming servers reset what they are done with
                    if not data:
                        del self._open[channel]
                    return channel, data
                waiting.append(stream)
            woken = trio.Event()
            for stream in waiting:
                stream.wake = woken
            await woken.wait()
        return None


# The other side's


class SPDYSession:
    """A session at a streaming server."""

    def __init__(self, streams: dict[int, Substream]) -> None:
        self._streams = streams
        self._merged = Merged(
            [(channel, streams[channel]) for channel in (STDOUT, STDERR, ERROR) if channel in streams]
        )
        self._status = b""

    async def receive(self) -> Piece | None:
        """Output as it comes; the status is kept until all output is here."""
        while (piece := await self._merged.receive()) is not None:
            if piece[0] == ERROR:
                self._status = (self._status + piece[1])[:MAX_STATUS]
            elif piece[1]:
                return piece
        status, self._status = self._status, b""
        return (ERROR, status) if status else None

    async def send(self, channel: int, data: bytes) -> None:
        stream = self._streams.get(channel)
        if stream is not None:
            await stream.send_all(data)

    async def close_stdin(self) -> None:
        if STDIN in self._streams:
            await self._streams[STDIN].send_eof()


Refuse = Callable[[int, Mapping[str, str], bytes], StatusError]
"""What to say of an answer that is no upgrade: status, headers, body."""


def refused(status: int, headers: Mapping[str, str], body: bytes) -> StatusError:
    """An answer of a streaming server passed on, in the words of kube-apiserver."""
    text = body.decode(errors="replace").strip()
    return StatusError(status if status >= 400 else 500, "InternalError", text or f"unexpected status {status}")


def upgrade_fields(protocols: Sequence[str]) -> Fields:
    """The headers that ask for SPDY."""
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", "SPDY/3.1"),
        *(("X-Stream-Protocol-Version", protocol) for protocol in protocols),
    ]


@asynccontextmanager
async def spdy_session(
    address: Address, target: str, wanted: Streams, fields: Sequence[tuple[str, str]] = (), refuse: Refuse = refused
) -> AsyncIterator[Session]:
    """Exec or attach at a streaming server. Raises StatusError, and `Unanswered` when there is no answer."""
    asked = [*fields, *upgrade_fields(("v4.channel.k8s.io",))]
    async with exchange(address, "POST", target, asked) as answer:
        if answer.status != 101:
            raise refuse(answer.status, answer.headers, await answer.read())
        async with multiplexed(answer.upgraded(), client=True) as multiplexer:
            streams = {}
            names = {channel: name for name, channel in NAMES.items()}
            try:
                # A streaming server counts on the error stream being the first.
                for channel in sorted(wanted.channels, key=lambda each: each != ERROR):
                    output = channel in (ERROR, STDOUT, STDERR)
                    streams[channel] = await multiplexer.open({"streamtype": names[channel]}, fin=output)
            except trio.BrokenResourceError:
                raise refuse(502, {}, b"the connection broke before the streams were open") from None
            yield SPDYSession(streams)


__all__ = [
    "SUCCESS",
    "Handshake",
    "Peer",
    "SPDYPeer",
    "SPDYSession",
    "Session",
    "Streams",
    "Unanswered",
    "WebSocketPeer",
    "handshake",
    "refused",
    "relay",
    "spdy_headers",
    "spdy_session",
    "upgrade_fields",
]
