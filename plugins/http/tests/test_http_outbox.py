"""Answers sent together: soon, whole, in order, and not lost when the stream is closed."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from kubrick_http.streams import Outbox, SocketStream

BIG = bytes(range(256)) * 8192


def pair(outbox: Outbox) -> tuple[SocketStream, trio.SocketStream]:
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return SocketStream(near, outbox), trio.SocketStream(trio.socket.from_stdlib_socket(far))


@asynccontextmanager
async def running() -> AsyncIterator[Outbox]:
    outbox = Outbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        await trio.testing.wait_all_tasks_blocked()
        yield outbox
        nursery.cancel_scope.cancel()


async def receive(client: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await client.receive_some(65536)
        assert piece
        data += piece
    return data


async def test_what_is_to_be_sent_soon_is_sent_when_others_have_run() -> None:
    async with running() as outbox:
        stream, client = pair(outbox)
        await stream.send_soon(b"one")
        await stream.send_soon(b"two")
        assert await receive(client, 6) == b"onetwo"
        await stream.aclose()
        await client.aclose()


async def test_what_is_sent_at_once_does_not_overtake() -> None:
    async with running() as outbox:
        stream, client = pair(outbox)
        await stream.send_soon(b"one")
        await stream.send_all(b"two")
        await stream.send_soon(b"three")
        assert await receive(client, 11) == b"onetwothree"
        await stream.aclose()
        await client.aclose()


async def test_what_the_kernel_does_not_take_at_once_is_sent_before_what_follows() -> None:
    async with running() as outbox:
        stream, client = pair(outbox)
        await stream.send_soon(BIG)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_soon, b"more")
            assert await receive(client, len(BIG) + 4) == BIG + b"more"
        await stream.aclose()
        await client.aclose()


async def test_closing_delivers() -> None:
    async with running() as outbox:
        stream, client = pair(outbox)
        await stream.send_soon(b"last words")
        await stream.aclose()
        assert await receive(client, 10) == b"last words"
        await client.aclose()


async def test_a_stuck_stream_can_be_closed() -> None:
    async with running() as outbox:
        stream, client = pair(outbox)
        await stream.send_soon(BIG)
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
        await client.aclose()


async def test_without_somebody_to_see_to_it_it_is_sent_at_once() -> None:
    stream, client = pair(Outbox())
    await stream.send_soon(b"now")
    assert await receive(client, 3) == b"now"
    await stream.aclose()
    await client.aclose()
