"""Pieces put on a connection by others: what the kernel doesn't take at once is sent later, whole and in order."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from kubrick_http.connection import Connection, ConnectionOutlet, Limits
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_http.response import Outlet, Response
from kubrick_http.streams import SocketStream
from kubrick_http.writer import chunk
from kubrick_kernel import TrioClock

BIG = bytes(range(256)) * 4096


class Puzzle:
    """A streamed body whose pieces come from elsewhere, as those of a watch's audience do."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.refused = 0

    async def __aenter__(self) -> "Puzzle":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    def attach(self, outlet: Outlet) -> None:
        self.outlet = outlet

    async def next(self) -> bytes:
        while self.pieces:
            await trio.lowlevel.checkpoint()
            piece = self.pieces.pop(0)
            if not self.outlet.put(piece, chunk(piece)):
                self.refused += 1
                await self.outlet.flush()
        return b""


@asynccontextmanager
async def served(body: Puzzle) -> AsyncIterator[trio.SocketStream]:
    """A client of a connection whose every answer has this body."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def serve(message: Message, connection: Connection) -> Response:
        return Response(200, body=body)

    connection = Connection(SocketStream(near), serve, Pulse(TrioClock()), Limits())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        client = trio.SocketStream(trio.socket.from_stdlib_socket(far))
        await client.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield client
        nursery.cancel_scope.cancel()
    await client.aclose()


async def test_a_piece_the_kernel_does_not_take_at_once_arrives_whole() -> None:
    pieces = [b"first", BIG, b"second", BIG[::-1], b"last"]
    body = Puzzle(list(pieces))
    async with served(body) as client:
        received = b""
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += await client.receive_some(10_000)
    assert received.partition(b"\r\n\r\n")[2] == b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    assert body.refused >= 2


async def test_a_client_that_left_is_no_trouble_to_who_puts_pieces() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.close()
    stream = SocketStream(near)
    connection = Connection(stream, _never, Pulse(TrioClock()), Limits())
    outlet = ConnectionOutlet(connection, stream, chunked=True)
    assert not outlet.put(b"piece", chunk(b"piece"))
    with pytest.raises(trio.BrokenResourceError):
        await outlet.flush()
    await stream.aclose()


async def _never(message: Message, connection: Connection) -> Response:
    raise AssertionError("nothing was asked")
