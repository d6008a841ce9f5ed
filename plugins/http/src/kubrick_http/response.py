"""What a handler answers, and how it may take a connection over."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import define, field, frozen


class ByteStream(Protocol):
    """What a connection needs of a stream (trio's streams have it too)."""

    async def receive_some(self, max_bytes: int, /) -> bytes | bytearray:
        """The next bytes; b"" at the end. Raises trio.BrokenResourceError."""
        ...

    async def send_all(self, data: bytes, /) -> None:
        """All of `data`. Raises trio.BrokenResourceError."""
        ...

    async def aclose(self) -> None: ...


class Outlet(Protocol):
    """The connection's end of a streamed body. A stream that has a method ``attach(outlet)`` is given one
    before its first `next`; while `next` waits, other tasks may put pieces there."""

    def put(self, piece: bytes, framed: bytes) -> bool:
        """Send a piece, at once; `framed` is the same as a chunk of HTTP (`kubrick_http.writer.chunk`). False
        when the connection didn't take all of it, or is broken: no more may be put then before `flush`."""
        ...

    async def flush(self) -> None:
        """Called by `next` itself: send what is left of a piece. Raises trio.BrokenResourceError."""
        ...


class Stream(Protocol):
    """A body that is sent piece by piece (chunked): a watch, a followed log. See also `Outlet`."""

    async def next(self) -> bytes:
        """The next piece, as large as is available; b"" ends the response."""
        ...


TakeOver = Callable[[ByteStream], Awaitable[None]]


@frozen
class Upgrade:
    """A body that is no body. `opening` is entered before anything is sent and may still refuse with a
    StatusError. What it gives has, once the head (status 101) is sent, the connection's bytes to itself until
    it returns or the server drains (it is cancelled then); after that the connection is closed."""

    opening: AbstractAsyncContextManager[TakeOver]


@define(eq=False)
class Response:
    """An answer. `body` is bytes, a list of bytes to be sent one after another (a LIST joins stored
    values without copying), an opened-on-send stream, or an `Upgrade`."""

    status: int
    content_type: str = "application/json"
    body: bytes | list[bytes] | AbstractAsyncContextManager[Stream] | Upgrade = b""
    headers: list[tuple[str, str]] = field(factory=list)
