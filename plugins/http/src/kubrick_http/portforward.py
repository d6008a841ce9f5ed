"""Port-forward: connections to a pod's ports through one connection to the server.

Each forwarded connection is a pair of streams, data and error; what comes on the error stream says why a
port could not be reached. Over SPDY a pair shares a requestID; kubectl since 1.31 speaks SPDY inside a
WebSocket; the older WebSocket form has its ports in the URL, and two channels for each.
"""

import math
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import trio
from attrs import frozen

from kubrick_api.errors import bad_request
from kubrick_http import channels
from kubrick_http.client import Address, exchange
from kubrick_http.multiplexer import Multiplexer, Substream, multiplexed
from kubrick_http.remotecommand import Refuse, refused, spdy_headers, upgrade_fields
from kubrick_http.response import ByteStream, Response, TakeOver, Upgrade
from kubrick_http.websocket import WebSocket, WebSocketStream, accept, drain, is_upgrade, is_websocket, offered

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PROTOCOL}"
PAIR_TIMEOUT = 30.0
MAX_PAIRS = 1000
LAST_WORDS = 1.0
WAITING_PIECES = 4
READ_SIZE = 32768
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Unforwarded(Exception):
    """A port could not be reached; the text says why."""


class Forwarded(Protocol):
    """One connection to a port of a pod. Both directions end on their own."""

    async def receive_some(self, max_bytes: int, /) -> bytes | bytearray: ...

    async def send_all(self, data: bytes, /) -> None: ...

    async def send_eof(self) -> None: ...


class Forwarder(Protocol):
    """A way to a pod's ports."""

    def connect(self, port: int) -> AbstractAsyncContextManager[Forwarded]:
        """A connection, closed with the block. Raises `Unforwarded`, on entering or while data flows."""
        ...


async def splice(near: Forwarded, far: Forwarded) -> None:
    """Pass everything on between a client and a pod until the pod's side has ended or either breaks. kubectl
    hears nothing more of a connection before its error stream ends, so that we can't wait for its own end."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pump, near, far, nursery.cancel_scope, math.inf)
        nursery.start_soon(_pump, far, near, nursery.cancel_scope, LAST_WORDS)


async def _pump(source: Forwarded, target: Forwarded, scope: trio.CancelScope, grace: float) -> None:
    """One direction; the other has `grace` seconds after its end."""
    try:
        while data := await source.receive_some(READ_SIZE):
            await target.send_all(bytes(data))
        await target.send_eof()
        scope.deadline = min(scope.deadline, trio.current_time() + grace)
    except GONE:
        scope.cancel()


# The client's side of the connection


@frozen
class Handshake:
    """How a client wants its ports forwarded. `ports` are those of the older WebSocket form."""

    headers: list[tuple[str, str]]
    tunnel: bool = False
    spoken: channels.Protocol | None = None
    ports: tuple[int, ...] = ()

    def response(self, opening: AbstractAsyncContextManager[Forwarder]) -> Response:
        """The answer: `opening` is entered (and may refuse) before the client hears anything."""
        return Response(101, body=Upgrade(self._upgrade(opening)), headers=self.headers)

    @asynccontextmanager
    async def _upgrade(self, opening: AbstractAsyncContextManager[Forwarder]) -> AsyncIterator[TakeOver]:
        async with opening as forwarder:

            async def serve(stream: ByteStream) -> None:
                if self.spoken is not None:
                    await _serve_channels(WebSocket(stream), self.spoken, self.ports, forwarder)
                elif self.tunnel:
                    socket = WebSocket(stream)
                    await _serve_streams(WebSocketStream(socket), forwarder)
                    await socket.close()
                else:
                    await _serve_streams(stream, forwarder)
                    await drain(stream)

            yield serve


def handshake(headers: Mapping[str, str], lists: Mapping[str, Sequence[str]], ports: Sequence[str] = ()) -> Handshake:
    """What a request to forward ports wants to speak; `ports` are the URL's. Raises StatusError."""
    if is_websocket(headers):
        names = offered(headers, lists, "sec-websocket-protocol")
        if TUNNEL in names:
            return Handshake(accept(headers, TUNNEL), tunnel=True)
        known = {name: each for name, each in channels.WEBSOCKET.items() if each.version != 5}
        chosen = channels.choose([name for name in names if name != PROTOCOL] or [""], known)
        if chosen is None:
            raise bad_request(f"unable to negotiate protocol: client supports [{' '.join(names)}]")
        return Handshake(accept(headers, chosen.name), spoken=chosen, ports=_ports(ports))
    if is_upgrade(headers, "spdy/3.1"):
        names = offered(headers, lists, "x-stream-protocol-version")
        if names and PROTOCOL not in names:
            raise bad_request(
                f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(names)}], "
                f"server accepts [{PROTOCOL}]"
            )
        return Handshake(spdy_headers(PROTOCOL))
    raise bad_request("Upgrade request required")


def _ports(texts: Sequence[str]) -> tuple[int, ...]:
    """Raises StatusError 400."""
    ports = []
    for text in (each for value in texts for each in value.split(",")):
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            raise bad_request(f'query parameter "ports" must be a port from 1 to 65535, not "{text}"')
        ports.append(int(text))
    if not ports:
        raise bad_request('query parameter "ports" is required')
    return tuple(ports)


async def _serve_streams(stream: ByteStream, forwarder: Forwarder) -> None:
    """Pair the streams a client opens, and connect each pair."""
    async with multiplexed(stream, client=False) as multiplexer, trio.open_nursery() as nursery:
        waiting: dict[str, dict[str, Substream]] = {}

        async def expire(request: str) -> None:
            await trio.sleep(PAIR_TIMEOUT)
            for lonely in waiting.pop(request, {}).values():
                await lonely.aclose()

        while (opened := await multiplexer.accept()) is not None:
            request, kind = opened.headers.get("requestid", ""), opened.headers.get("streamtype", "")
            pair = waiting.setdefault(request, {})
            if kind not in ("data", "error") or kind in pair or len(waiting) > MAX_PAIRS:
                await opened.aclose()
                continue
            if not pair:
                nursery.start_soon(expire, request)
            pair[kind] = opened
            if len(pair) == 2:
                del waiting[request]
                nursery.start_soon(_serve_pair, pair["data"], pair["error"], forwarder)
        nursery.cancel_scope.cancel()


async def _serve_pair(data: Substream, error: Substream, forwarder: Forwarder) -> None:
    port = data.headers.get("port", "")
    try:
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise Unforwarded(f"unable to parse port {port!r}")
        async with forwarder.connect(int(port)) as connection:
            await splice(data, connection)
    except Unforwarded as reason:
        try:
            await error.send_all(str(reason).encode())
        except GONE:
            pass
    await error.send_eof()
    await data.aclose()


async def _serve_channels(
    socket: WebSocket, protocol: channels.Protocol, ports: Sequence[int], forwarder: Forwarder
) -> None:
    """The older form: channels 2n and 2n+1 are data and error of the n-th port, and begin with its number."""
    # All are there before anything is read: a client may send at once.
    pairs = [trio.open_memory_channel[bytes](WAITING_PIECES) for _ in ports]
    inputs = {index * 2: pair[0] for index, pair in enumerate(pairs)}

    async def send(channel: int, data: bytes) -> None:
        encoded = channels.encode(protocol, channel, data)
        await (socket.send_text(encoded.decode()) if protocol.text else socket.send_bytes(encoded))

    async def serve(index: int, port: int, arriving: trio.MemoryReceiveChannel[bytes]) -> None:
        with arriving:
            try:
                async with forwarder.connect(port) as connection:
                    await splice(_Channel(arriving, send, index * 2), connection)
            except Unforwarded as reason:
                try:
                    await send(index * 2 + 1, str(reason).encode())
                except GONE:
                    return

    async def read(scope: trio.CancelScope) -> None:
        reading = _Numbered(protocol)
        while (piece := await socket.receive()) is not None:
            try:
                found = reading.feed(piece.data, piece.first, piece.last)
            except channels.MalformedMessage:
                break
            channel = inputs.get(found[0]) if found else None
            if found is not None and channel is not None:
                try:
                    await channel.send(found[1])
                except GONE:
                    continue
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, nursery.cancel_scope)
        try:
            async with trio.open_nursery() as connections:
                for index, port in enumerate(ports):
                    for channel in (index * 2, index * 2 + 1):
                        await send(channel, struct.pack("<H", port))
                    connections.start_soon(serve, index, port, pairs[index][1])
        except* GONE:
            pass
        nursery.cancel_scope.cancel()
    await socket.close()


class _Numbered:
    """Messages on any channel, piece by piece."""

    def __init__(self, protocol: channels.Protocol) -> None:
        self._text = protocol.text
        self._channel = -1
        self._whole = b""

    def feed(self, data: bytes, first: bool, last: bool) -> channels.Piece | None:
        if self._text:
            self._whole += data
            if not last or len(self._whole) > channels.MAX_TEXT:
                return None
            whole, self._whole = self._whole, b""
            return (whole[0] - ord("0"), channels.decoded(whole[1:])) if whole else None
        if first:
            if not data:
                return None
            self._channel, data = data[0], data[1:]
        return (self._channel, data) if data else None


class _Channel:
    """One data channel of a WebSocket as a connection."""

    def __init__(self, arriving: trio.MemoryReceiveChannel[bytes], send: "_Send", number: int) -> None:
        self._arriving = arriving
        self._send = send
        self._number = number

    async def receive_some(self, max_bytes: int, /) -> bytes:
        try:
            return await self._arriving.receive()
        except trio.EndOfChannel:
            return b""

    async def send_all(self, data: bytes, /) -> None:
        await self._send(self._number, data)

    async def send_eof(self) -> None:
        """This form has no way to say so but to close everything."""
        raise trio.BrokenResourceError


class _Send(Protocol):
    async def __call__(self, channel: int, data: bytes, /) -> None: ...


# The other side's


class SPDYForwarder:
    """A way to a pod's ports through a streaming server."""

    def __init__(self, multiplexer: Multiplexer) -> None:
        self._multiplexer = multiplexer
        self._requests = 0

    @asynccontextmanager
    async def connect(self, port: int) -> AsyncIterator[Forwarded]:
        request, self._requests = str(self._requests), self._requests + 1
        headers = {"port": str(port), "requestid": request}
        try:
            error = await self._multiplexer.open({"streamtype": "error", **headers}, fin=True)
            data = await self._multiplexer.open({"streamtype": "data", **headers})
        except trio.BrokenResourceError:
            raise Unforwarded("the connection to the pod's node broke") from None
        try:
            yield data
            reason = b""
            with trio.move_on_after(1):
                reason = await error.receive_some()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await data.aclose()
                await error.aclose()
        if reason:
            raise Unforwarded(reason.decode(errors="replace"))


@asynccontextmanager
async def spdy_forwarder(
    address: Address, target: str, fields: Sequence[tuple[str, str]] = (), refuse: Refuse = refused
) -> AsyncIterator[Forwarder]:
    """Port-forward at a streaming server. Raises StatusError, and `Unanswered` when there is no answer."""
    async with exchange(address, "POST", target, [*fields, *upgrade_fields((PROTOCOL,))]) as answer:
        if answer.status != 101:
            raise refuse(answer.status, answer.headers, await answer.read())
        async with multiplexed(answer.upgraded(), client=True) as multiplexer:
            yield SPDYForwarder(multiplexer)
