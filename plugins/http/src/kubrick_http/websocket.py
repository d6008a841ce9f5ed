"""The server's side of a WebSocket (RFC 6455): handshake, messages piece by piece, pings, close.

wsproto knows the frames; the handshake is ours, because by then the request has been parsed.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from hashlib import sha1

import trio
from attrs import frozen
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from kubrick_api.errors import StatusError, bad_request
from kubrick_http.response import ByteStream

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NORMAL, GOING_AWAY, PROTOCOL_ERROR, TOO_BIG, INTERNAL = 1000, 1001, 1002, 1009, 1011
READ_SIZE = 65536
MESSAGE_SIZE = 32768
LINGER = 2.0
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


def has_token(header: str, token: str) -> bool:
    """Whether a comma-separated header names `token`, in any case."""
    return any(each.strip().lower() == token for each in header.split(","))


def is_upgrade(headers: Mapping[str, str], protocol: str) -> bool:
    """Whether a request wants to speak `protocol` ("websocket", "spdy/3.1") on its connection."""
    return has_token(headers.get("connection", ""), "upgrade") and has_token(headers.get("upgrade", ""), protocol)


def is_websocket(headers: Mapping[str, str]) -> bool:
    return is_upgrade(headers, "websocket")


def offered(headers: Mapping[str, str], lists: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """The names in a header that may come more than once and hold several at once."""
    values = lists.get(name) or ((headers[name],) if name in headers else ())
    return [each.strip() for value in values for each in value.split(",") if each.strip()]


def accept(headers: Mapping[str, str], protocol: str | None) -> list[tuple[str, str]]:
    """The headers of the 101 that accepts a handshake. Raises StatusError 400."""
    version = headers.get("sec-websocket-version", "")
    if version != "13":
        raise StatusError(
            400,
            "BadRequest",
            f"websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header: {version!r}",
            headers=(("Sec-WebSocket-Version", "13"),),
        )
    key = headers.get("sec-websocket-key", "")
    try:
        long_enough = len(b64decode(key, validate=True)) == 16
    except Error:
        long_enough = False
    if not long_enough:
        raise bad_request("websocket: the Sec-WebSocket-Key header must hold 16 bytes in base64")
    answer = b64encode(sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()
    found = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", answer)]
    return [*found, ("Sec-WebSocket-Protocol", protocol)] if protocol else found


@frozen
class Piece:
    """Part of a message: `first` and `last` say where it begins and ends."""

    data: bytes
    first: bool
    last: bool


class WebSocket:
    """An accepted WebSocket. One task may send while another receives."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._connection = Connection(ConnectionType.SERVER)
        self._events = iter(self._connection.events())
        self._sending = trio.Lock()
        self._first = True

    async def receive(self) -> Piece | None:
        """The next piece of a message; None when the peer has closed or left."""
        while True:
            try:
                for event in self._events:
                    if isinstance(event, TextMessage | BytesMessage):
                        return self._piece(event)
                    if isinstance(event, Ping):
                        await self._send(self._connection.send(event.response()))
                    elif isinstance(event, CloseConnection):
                        if self._connection.state is ConnectionState.REMOTE_CLOSING:
                            await self._send(self._connection.send(event.response()))
                        return None
                data = await self._stream.receive_some(READ_SIZE)
                self._connection.receive_data(bytes(data) if data else None)
                self._events = iter(self._connection.events())
                if not data:
                    return None
            except RemoteProtocolError as error:
                await self.close(PROTOCOL_ERROR, str(error)[:100])
                return None
            except GONE:
                return None

    def _piece(self, event: "TextMessage | BytesMessage") -> Piece:
        data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        first, self._first = self._first, bool(event.message_finished)
        return Piece(data, first, bool(event.message_finished))

    async def send_bytes(self, data: bytes) -> None:
        """One binary message. Raises trio.BrokenResourceError."""
        await self._message(BytesMessage(data=data))

    async def send_text(self, text: str) -> None:
        """One text message. Raises trio.BrokenResourceError."""
        await self._message(TextMessage(data=text))

    async def _message(self, message: "TextMessage | BytesMessage") -> None:
        try:
            encoded = self._connection.send(message)
        except LocalProtocolError:
            raise trio.BrokenResourceError("the WebSocket is closed") from None
        await self._send(encoded)

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            await self._stream.send_all(data)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, and let the peer read everything before the connection goes."""
        try:
            if self._connection.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
                await self._send(self._connection.send(CloseConnection(code=code, reason=reason)))
        except (*GONE, LocalProtocolError):
            return
        await drain(self._stream)


async def drain(stream: ByteStream) -> None:
    """Listen a moment to a peer that we are done with: closing a socket with unread data resets it, and what
    was just sent would be lost on the way."""
    with trio.move_on_after(LINGER):
        try:
            while await stream.receive_some(READ_SIZE):
                pass
        except GONE:
            pass


class WebSocketStream:
    """A WebSocket as a byte stream: message boundaries mean nothing (a SPDY tunnel)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._rest = b""

    async def receive_some(self, max_bytes: int, /) -> bytes:
        while not self._rest:
            piece = await self._socket.receive()
            if piece is None:
                return b""
            self._rest = piece.data
        data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return data

    async def send_all(self, data: bytes, /) -> None:
        for start in range(0, len(data), MESSAGE_SIZE):
            await self._socket.send_bytes(data[start : start + MESSAGE_SIZE])

    async def aclose(self) -> None:
        await self._socket.close()
