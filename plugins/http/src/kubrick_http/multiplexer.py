"""Many streams over one connection, by SPDY: `spdy` decides what bytes mean, this reads and writes them.

A stream's unread data waits in a bounded buffer. When it is full nothing more is read from the
connection, which holds up its other streams too: SPDY as spoken here has no flow control but TCP's.
One task writes all frames, so that a sender may be cancelled without leaving half a frame behind.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from kubrick_http.response import ByteStream
from kubrick_http.spdy import (
    CANCEL,
    REFUSED_STREAM,
    Data,
    Frame,
    Framer,
    GoAway,
    Headers,
    Ping,
    ProtocolError,
    Reset,
    SynReply,
    SynStream,
)

READ_SIZE = 65536
FRAME_SIZE = 32768
WAITING_BYTES = 256 * 1024
"""How much of one stream may be unread before the connection is no longer read."""
WAITING_STREAMS = 32
WAITING_FRAMES = 4
GOODBYE = 2.0
MAX_STREAMS = 4096
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Substream:
    """One stream. Both directions end on their own."""

    def __init__(
        self, multiplexer: "Multiplexer", number: int, headers: Mapping[str, str], *, closed: bool = False
    ) -> None:
        self.headers = headers
        self.number = number
        self.was_reset = False
        self.wake: trio.Event | None = None
        """Set, once, when the stream becomes readable: for those who wait for several at a time."""
        self._multiplexer = multiplexer
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._arrived = trio.Event()
        self._read = trio.Event()
        self._ended = False
        self._closed = closed

    @property
    def readable(self) -> bool:
        """Whether `receive_some` would return at once."""
        return bool(self._pieces) or self._ended

    def _became_readable(self) -> None:
        self._arrived.set()
        if self.wake is not None:
            self.wake.set()
            self.wake = None

    async def receive_some(self, max_bytes: int = READ_SIZE, /) -> bytes:
        """What has arrived; b"" when the peer will send no more. Raises trio.BrokenResourceError when the stream
        was reset or the connection broke."""
        while not self._pieces:
            if self._ended:
                await trio.lowlevel.checkpoint()
                if self.was_reset:
                    raise trio.BrokenResourceError("the stream was reset")
                return b""
            self._arrived = trio.Event()
            await self._arrived.wait()
        data = b"".join(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
        self._pieces.clear()
        if len(data) > max_bytes:
            self._pieces.append(data[max_bytes:])
            data = data[:max_bytes]
        self._bytes -= len(data)
        self._read.set()
        await trio.lowlevel.checkpoint()
        return data

    async def send_all(self, data: bytes, /) -> None:
        """Raises trio.ClosedResourceError after `close`, BrokenResourceError when nobody reads any more."""
        if self._closed:
            raise trio.ClosedResourceError
        if self.was_reset:
            raise trio.BrokenResourceError("the stream was reset")
        for start in range(0, len(data), FRAME_SIZE):
            await self._multiplexer.send(Data(self.number, data[start : start + FRAME_SIZE]))

    async def send_eof(self) -> None:
        """We will send no more. Idempotent."""
        if not self._closed:
            self._closed = True
            if not self.was_reset:
                try:
                    await self._multiplexer.send(Data(self.number, b"", fin=True))
                except trio.BrokenResourceError:
                    pass
            self._forget_if_over()

    async def aclose(self) -> None:
        """We neither send nor want any more."""
        if not self._ended:
            self.end(reset=True)
            self._closed = True
            try:
                await self._multiplexer.send(Reset(self.number, CANCEL))
            except trio.BrokenResourceError:
                pass
        else:
            await self.send_eof()

    async def arrive(self, data: bytes) -> None:
        """Data for whoever reads; waits while too much is unread."""
        if not data or self._ended:
            return
        self._pieces.append(data)
        self._bytes += len(data)
        self._became_readable()
        while self._bytes > WAITING_BYTES and not self._ended:
            self._read = trio.Event()
            await self._read.wait()

    def end(self, *, reset: bool = False) -> None:
        """The peer will send no more."""
        self._ended = True
        self.was_reset = self.was_reset or reset
        self._became_readable()
        self._read.set()
        self._forget_if_over()

    def _forget_if_over(self) -> None:
        if (self._ended and self._closed) or self.was_reset:
            self._multiplexer.forget(self.number)


class Multiplexer:
    """A connection's streams. Use `multiplexed`."""

    def __init__(self, stream: ByteStream, *, client: bool) -> None:
        self._stream = stream
        self._framer = Framer()
        self._next = 1 if client else 2
        self._streams: dict[int, Substream] = {}
        self._last = 0
        self._opened, self._accepted = trio.open_memory_channel[Substream](WAITING_STREAMS)
        self._queue, self._queued = trio.open_memory_channel[Frame | trio.Event](WAITING_FRAMES)
        self._opening = trio.Lock()
        self.over = trio.Event()
        """The connection has ended."""

    async def open(self, headers: Mapping[str, str], *, fin: bool = False) -> Substream:
        """A new stream; `fin`: we will send nothing on it. Raises trio.BrokenResourceError."""
        async with self._opening:  # streams must be opened in the order of their numbers
            number, self._next = self._next, self._next + 2
            stream = self._streams[number] = Substream(self, number, headers, closed=fin)
            await self.send(SynStream(number, headers, fin))
        return stream

    async def accept(self) -> Substream | None:
        """The next stream the peer opens; None when the connection is over."""
        try:
            return await self._accepted.receive()
        except trio.EndOfChannel:
            return None

    async def send(self, frame: Frame) -> None:
        """Raises trio.BrokenResourceError when the connection is over."""
        try:
            await self._queue.send(frame)
        except GONE:
            raise trio.BrokenResourceError("the connection is over") from None

    async def write(self) -> None:
        """Write what is queued until the connection is over."""
        try:
            async for item in self._queued:
                if isinstance(item, trio.Event):
                    item.set()
                else:
                    await self._stream.send_all(self._framer.encode(item))
        except GONE:
            self.end()
        finally:
            self._queued.close()

    def forget(self, number: int) -> None:
        self._streams.pop(number, None)

    def end(self) -> None:
        """Nothing more will come or go."""
        self.over.set()
        self._opened.close()
        self._queue.close()
        for stream in list(self._streams.values()):
            stream.end(reset=True)

    async def read(self) -> None:
        """Read until the connection is over."""
        try:
            while data := await self._stream.receive_some(READ_SIZE):
                for frame in self._framer.feed(bytes(data)):
                    await self._take(frame)
        except (*GONE, ProtocolError):
            pass
        finally:
            self.end()

    async def _take(self, frame: Frame) -> None:
        match frame:
            case Data():
                stream = self._streams.get(frame.stream)
                if stream is not None:
                    await stream.arrive(frame.data)
                    if frame.fin:
                        stream.end()
            case SynStream():
                await self._accept(frame)
            case Reset():
                stream = self._streams.get(frame.stream)
                if stream is not None:
                    stream.end(reset=True)
            case Ping():
                if frame.number % 2 != self._next % 2:
                    await self.send(frame)
            case SynReply() | Headers():
                stream = self._streams.get(frame.stream)
                if stream is not None and frame.fin:
                    stream.end()
            case GoAway():
                pass

    async def _accept(self, frame: SynStream) -> None:
        if frame.stream <= self._last or frame.stream % 2 == self._next % 2:
            raise ProtocolError(f"stream {frame.stream} after {self._last}")
        self._last = frame.stream
        if len(self._streams) >= MAX_STREAMS:
            await self.send(Reset(frame.stream, REFUSED_STREAM))
            return
        stream = self._streams[frame.stream] = Substream(self, frame.stream, frame.headers)
        await self.send(SynReply(frame.stream, {}))
        if frame.fin:
            stream.end()
        await self._opened.send(stream)

    async def go_away(self) -> None:
        """Say that we are done, and return when all that was queued has been written."""
        written = trio.Event()
        try:
            await self._queue.send(GoAway(self._last))
            await self._queue.send(written)
        except GONE:
            return
        with trio.move_on_after(GOODBYE):
            await written.wait()


@asynccontextmanager
async def multiplexed(stream: ByteStream, *, client: bool) -> AsyncIterator[Multiplexer]:
    """`stream` as a `Multiplexer` while the block runs; says goodbye in the end, and leaves `stream` open."""
    multiplexer = Multiplexer(stream, client=client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(multiplexer.read)
        nursery.start_soon(multiplexer.write)
        yield multiplexer
        await multiplexer.go_away()
        nursery.cancel_scope.cancel()
