"""gRPC over HTTP/2 on a unix socket, as much of it as a node agent needs.

One connection carries all calls. h2 keeps the protocol's state; a reader and a writer task move the bytes,
so a cancelled call never leaves half a frame behind: it resets its stream and is forgotten. The connection
is made at the first call and again at the first call after it broke; calls that were under way then fail
with UNAVAILABLE. A deadline is sent along (`grpc-timeout`) and kept here too.
"""

import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from kubrick_runtime_cri.messages import Method

CODES = (
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
)
"""The names of gRPC's status codes, as Go prints them."""
UNKNOWN, DEADLINE_EXCEEDED, NOT_FOUND, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 2, 4, 5, 12, 13, 14

WINDOW = 2**20
READ_SIZE = 2**16
CONNECT_SECONDS = 2.0
_PREFIX = 5


class RPCError(Exception):
    """A call that failed. Its text is what Go's gRPC prints."""

    def __init__(self, code: int, message: str) -> None:
        name = CODES[code] if 0 <= code < len(CODES) else f"Code({code})"
        super().__init__(f"rpc error: code = {name} desc = {message}")
        self.code = code
        self.message = message


class Call:
    """One stream: what came in, and whether it is over."""

    __slots__ = ("buffer", "changed", "ended", "error", "messages", "status", "text")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.messages: deque[bytes] = deque()
        self.changed = trio.Event()
        self.ended = False
        self.error: RPCError | None = None
        self.status = UNKNOWN
        self.text = ""

    def notify(self) -> None:
        self.changed.set()

    def feed(self, data: bytes) -> None:
        buffer = self.buffer
        buffer += data
        while len(buffer) >= _PREFIX:
            end = _PREFIX + int.from_bytes(buffer[1:_PREFIX], "big")
            if len(buffer) < end:
                break
            self.messages.append(bytes(buffer[_PREFIX:end]))
            del buffer[:end]
        self.notify()

    def headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        for key, value in headers:
            if key == b"grpc-status":
                self.status = int(value)
            elif key == b"grpc-message":
                self.text = unquote(value.decode())
            elif key == b":status" and value != b"200":
                self.fail(RPCError(UNAVAILABLE, f"unexpected HTTP status code {value.decode()}"))

    def finish(self) -> None:
        self.ended = True
        self.notify()

    def fail(self, error: RPCError) -> None:
        if not self.ended:
            self.error = error
            self.finish()

    async def next(self) -> bytes | None:
        """The next message; None at the end of a call that went well."""
        while not self.messages and not self.ended:
            self.changed = trio.Event()
            await self.changed.wait()
        if self.messages:
            return self.messages.popleft()
        if self.error is not None:
            raise self.error
        if self.status:
            raise RPCError(self.status, self.text)
        return None


class _Connection:
    """One HTTP/2 connection and the calls on it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._calls: dict[int, Call] = {}
        self._to_send: dict[int, memoryview] = {}
        self._outgoing = trio.Event()
        self.open = True
        self._h2.initiate_connection()
        self._h2.update_settings({SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
        self._h2.increment_flow_control_window(WINDOW)

    async def run(self) -> None:
        """Move bytes until the connection ends; then every call on it fails."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                await self._read()
                nursery.cancel_scope.cancel()
        finally:
            self._close("transport is closing")
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await self._stream.aclose()

    def start(self, path: str, body: bytes, timeout: float) -> tuple[int, Call]:
        headers = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", b"localhost"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"kubrick"),
            (b"te", b"trailers"),
        ]
        if timeout != math.inf:
            headers.append((b"grpc-timeout", b"%dm" % max(1, math.ceil(timeout * 1000))))
        number = self._h2.get_next_available_stream_id()
        call = self._calls[number] = Call()
        self._h2.send_headers(number, headers)
        self._to_send[number] = memoryview(b"\0" + len(body).to_bytes(4, "big") + body)
        self._send_bodies()
        self._outgoing.set()
        return number, call

    def forget(self, number: int) -> None:
        """The caller is done with the call, whether it has ended or not."""
        call = self._calls.pop(number, None)
        self._to_send.pop(number, None)
        if call is not None and not call.ended and self.open:
            try:
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
            except ProtocolError:
                return
            self._outgoing.set()

    def _send_bodies(self) -> None:
        """Hand over as much of the requests as the other side has room for."""
        for number, rest in list(self._to_send.items()):
            while rest:
                room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                if room <= 0:
                    break
                piece, rest = rest[:room], rest[room:]
                self._h2.send_data(number, bytes(piece), end_stream=not rest)
            if rest:
                self._to_send[number] = rest
            else:
                del self._to_send[number]

    async def _write(self) -> None:
        try:
            while True:
                self._outgoing = trio.Event()
                data = self._h2.data_to_send()
                if data:
                    await self._stream.send_all(data)
                else:
                    await self._outgoing.wait()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.aclose()

    async def _read(self) -> None:
        try:
            while data := await self._stream.receive_some(READ_SIZE):
                for event in self._h2.receive_data(data):
                    self._handle(event)
                if self._to_send:
                    self._send_bodies()
                self._outgoing.set()
                if not self.open:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError, ProtocolError) as error:
            self._close(f"transport is broken: {error}")

    def _handle(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self._close("the server closed the connection")
            return
        number = getattr(event, "stream_id", None)
        if isinstance(event, DataReceived) and event.flow_controlled_length and event.stream_id is not None:
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        call = self._calls.get(number) if number else None
        if call is None:
            return
        if isinstance(event, DataReceived):
            call.feed(event.data or b"")
        elif isinstance(event, ResponseReceived | TrailersReceived):
            call.headers(event.headers or [])
        elif isinstance(event, StreamEnded):
            call.finish()
        elif isinstance(event, StreamReset):
            self._to_send.pop(event.stream_id or 0, None)
            call.fail(RPCError(UNAVAILABLE, f"the server reset the stream ({event.error_code})"))

    def _close(self, why: str) -> None:
        self.open = False
        for call in self._calls.values():
            call.fail(RPCError(UNAVAILABLE, why))
        self._calls.clear()


class Channel:
    """Calls to the server behind `path`. Calls work while `run` does."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._nursery: trio.Nursery | None = None
        self._connection: _Connection | None = None
        self._connecting = trio.Lock()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = self._connection = None

    async def _connected(self) -> _Connection:
        connection = self._connection
        if connection is not None and connection.open:
            return connection
        async with self._connecting:
            connection = self._connection
            if connection is not None and connection.open:
                return connection
            if self._nursery is None:
                raise RPCError(UNAVAILABLE, "the channel is not running")
            try:
                with trio.fail_after(CONNECT_SECONDS):
                    stream = await trio.open_unix_socket(self.path)
            except (OSError, trio.TooSlowError) as error:
                raise RPCError(UNAVAILABLE, f'connection error: dial unix {self.path}: "{error}"') from None
            connection = self._connection = _Connection(stream)
            self._nursery.start_soon(connection.run)
            return connection

    @asynccontextmanager
    async def stream(self, method: Method, request: Any, timeout: float = math.inf) -> AsyncIterator[Call]:
        """An open call: `await call.next()` hands out the encoded messages."""
        connection = await self._connected()
        number, call = connection.start(method.path, request.SerializeToString(), timeout)
        try:
            yield call
        finally:
            connection.forget(number)

    async def call(self, method: Method, request: Any, timeout: float) -> Any:
        """One request, one response. Raises RPCError."""
        with trio.move_on_after(timeout):
            async with self.stream(method, request, timeout) as call:
                data = await call.next()
                if data is None:
                    raise RPCError(INTERNAL, "the server sent no message")
                # Headers say OK before the trailers say otherwise: the message is only good at the end.
                while await call.next() is not None:
                    pass
                return method.response.FromString(data)
        raise RPCError(DEADLINE_EXCEEDED, "context deadline exceeded")
