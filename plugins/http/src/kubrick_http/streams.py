"""Plain and TLS byte streams straight on a trio socket.

trio's own streams pay a checkpoint, a lock and two task switches per call. These try the system call
first and wait only when the kernel says so, yielding to others once in a while; TLS is an SSLObject
between two memory buffers. That is what makes 17,000 requests a second with TLS reachable.

One task may send while another receives; two tasks must not send, or receive, at once.
"""

import socket as stdlib_socket
import ssl

import trio

from kubrick_http.response import ByteStream

GREED = 4
"""How many receives in a row may succeed without letting other tasks run: spares a wait, but others wait meanwhile."""
CROWD = 4
"""Streams that send together, from which on it pays to look for the next request without asking the kernel to be told
of it: that takes as long as a fifth of a request."""
HANDSHAKE_TIMEOUT = 10.0


class Outbox:
    """Sends what many streams have to say together, once every task that could run has run.

    Each send of its own may have to wake a sleeping client, which on the same machine costs more than the
    request did; together, the first one wakes it. `run` is a task of the server."""

    def __init__(self) -> None:
        self._streams: list[SocketStream] = []
        self._task: trio.lowlevel.Task | None = None
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        async with trio.open_nursery() as self._nursery:
            while True:
                if not self._streams:
                    self._task = trio.lowlevel.current_task()
                    await trio.lowlevel.wait_task_rescheduled(self._abort)
                streams, self._streams = self._streams, []
                for stream in streams:
                    if not stream.deliver():
                        self._nursery.start_soon(stream.drain)
                for stream in streams:
                    stream.go_on()

    @property
    def is_crowded(self) -> bool:
        """Whether so many streams are about to send that the first peer's next request is likely to be there before
        the last of them was served."""
        return len(self._streams) >= CROWD

    def add(self, stream: "SocketStream") -> bool:
        """Have `stream` deliver soon; False when nobody is there to see to it."""
        task = self._task
        if task is not None:
            self._task = None
            trio.lowlevel.reschedule(task)
        elif not self._streams:
            return False
        self._streams.append(stream)
        return True

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class SocketStream:
    """A connected, non-blocking socket; with an `outbox`, it can send later."""

    def __init__(self, socket: stdlib_socket.socket, outbox: Outbox | None = None) -> None:
        self._socket = socket
        self._outbox = outbox
        self._parcel = b""
        """What `deliver` is to send."""
        self._drained: trio.Event | None = None
        """Set when the kernel, which didn't take all of a parcel, has taken the rest."""
        self._reader: trio.lowlevel.Task | None = None
        """Who waits for the parcel to be delivered, to receive then."""
        self._in_a_row = 0

    async def receive_some(self, max_bytes: int) -> bytes:
        """The next bytes; b"" at the end."""
        self._in_a_row += 1
        if self._parcel:
            # The peer has not even been sent what it waits for: to try now would be in vain.
            self._in_a_row = 0
            if self._drained is None and self._outbox is not None and self._outbox.is_crowded:
                # The outbox has it yet to deliver, and says when it did.
                self._reader = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stay)
            else:
                await trio.lowlevel.wait_readable(self._socket)
        elif self._in_a_row > GREED:
            self._in_a_row = 0
            await trio.lowlevel.checkpoint()
        while True:
            try:
                return self._socket.recv(max_bytes)
            except BlockingIOError:
                pass
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error
            self._in_a_row = 0
            await trio.lowlevel.wait_readable(self._socket)

    async def send_soon(self, data: bytes) -> None:
        """All of `data`, not much later. That it failed is seen by whoever receives or sends next."""
        if self._drained is None and self._outbox is not None:
            if self._parcel:
                self._parcel += data
                return
            if self._outbox.add(self):
                self._parcel = data
                return
        await self.send_all(data)

    def deliver(self) -> bool:
        """Send the parcel; whether all of it could be sent at once."""
        data, self._parcel = self._parcel, b""
        if not data:
            return True
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return True  # the peer is gone: receiving says so
        if sent == len(data):
            return True
        self._parcel = data[sent:]
        self._drained = trio.Event()
        return False

    def go_on(self) -> None:
        """The parcel is delivered, or on its way: who waits for that may receive."""
        reader, self._reader = self._reader, None
        if reader is not None:
            trio.lowlevel.reschedule(reader)

    def _stay(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def drain(self) -> None:
        """Send the rest of a parcel as the kernel takes it, until that is done or the stream is closed."""
        drained = self._drained
        assert drained is not None
        try:
            await self._send_rest(memoryview(self._parcel))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._parcel = b""
            self._drained = None
            drained.set()

    async def send_all(self, data: bytes) -> None:
        """All of `data`. When cancelled, it is not known how much was sent."""
        if self._drained is not None:
            await self._drained.wait()
        if self._parcel:
            data, self._parcel = self._parcel + data, b""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error
        if sent < len(data):
            await self._send_rest(memoryview(data)[sent:])

    async def _send_rest(self, rest: memoryview) -> None:
        while rest:
            await trio.lowlevel.wait_writable(self._socket)
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    def send_now(self, data: bytes) -> bytes:
        """As much as the kernel takes at once; returns the rest, which `send_rest` must send before anything
        else is. Raises BrokenResourceError."""
        try:
            return data[self._socket.send(data) :]
        except BlockingIOError:
            return data
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def send_rest(self, rest: bytes) -> None:
        """What `send_now` left."""
        await self._send_rest(memoryview(rest))

    def send_nowait(self, data: bytes) -> None:
        """As much as the kernel takes at once; failure doesn't matter."""
        if self._drained is not None or not self.deliver():
            return  # it would end up in the middle of what is being sent
        try:
            self._socket.send(data)
        except OSError:
            pass

    async def aclose(self) -> None:
        if self._drained is None:
            self.deliver()
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()
        await trio.lowlevel.checkpoint()


class Resumed:
    """A stream of which some bytes have been read already."""

    def __init__(self, stream: ByteStream, early: bytes) -> None:
        self._stream = stream
        self._early = early

    async def receive_some(self, max_bytes: int, /) -> bytes | bytearray:
        if self._early:
            await trio.lowlevel.checkpoint()
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return data
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes, /) -> None:
        await self._stream.send_all(data)

    async def aclose(self) -> None:
        await self._stream.aclose()


class TLSStream:
    """One side of TLS over a `SocketStream`: the server's, or that of a client of `server_name`.
    `handshake` comes first."""

    def __init__(self, transport: SocketStream, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self._transport = transport
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        client = server_name is not None
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=not client, server_hostname=server_name
        )

    async def handshake(self) -> None:
        """Raises BrokenResourceError when the peer leaves, refuses, is refused or speaks no TLS."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
                if self._incoming.eof:
                    raise trio.BrokenResourceError("the peer left during the TLS handshake") from None
                continue
            except ssl.SSLError as error:
                self._transport.send_nowait(self._outgoing.read())
                raise trio.BrokenResourceError(f"TLS handshake: {_reason(error)}") from error
            break
        await self._flush()

    @property
    def certificate(self) -> bytes | None:
        """The peer's verified certificate in DER."""
        return self._tls.getpeercert(binary_form=True)

    async def _receive(self) -> None:
        data = await self._transport.receive_some(65536)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._transport.send_all(self._outgoing.read())

    async def receive_some(self, max_bytes: int) -> bytes:
        """The next bytes; b"" at the end, a ragged one included: HTTP says itself where messages end."""
        if not (self._incoming.pending or self._incoming.eof or self._tls.pending()):
            await self._receive()  # to ask TLS first would only raise
        while True:
            try:
                return self._tls.read(max_bytes)
            except ssl.SSLWantReadError:
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(f"TLS: {error.reason}") from error

    async def send_all(self, data: bytes) -> None:
        """All of `data`; whatever TLS itself had to say goes with it."""
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise trio.BrokenResourceError(f"TLS: {error.reason}") from error
        await self._transport.send_all(self._outgoing.read())

    def send_now(self, data: bytes) -> bytes:
        """See `SocketStream.send_now`; the rest is encrypted already."""
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise trio.BrokenResourceError(f"TLS: {error.reason}") from error
        return self._transport.send_now(self._outgoing.read())

    async def send_rest(self, rest: bytes) -> None:
        """What `send_now` left."""
        await self._transport.send_rest(rest)

    async def send_soon(self, data: bytes) -> None:
        """All of `data`, not much later: see `SocketStream.send_soon`."""
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise trio.BrokenResourceError(f"TLS: {error.reason}") from error
        await self._transport.send_soon(self._outgoing.read())

    async def aclose(self) -> None:
        """Says goodbye if the kernel takes it at once, and closes."""
        try:
            self._tls.unwrap()
        except (ssl.SSLError, ValueError):
            pass
        self._transport.send_nowait(self._outgoing.read())
        await self._transport.aclose()


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or str(error)
