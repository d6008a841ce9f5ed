"""Answers sent together: soon, whole, in order, and not lost when the stream is closed."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from kubrick_http.streams import CROWD, Outbox, SocketStream

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


async def echo(stream: SocketStream, size: int, rounds: int) -> None:
    for _ in range(rounds):
        data = b""
        while len(data) < size:
            data += await stream.receive_some(size - len(data))
        await stream.send_soon(data)


async def test_a_crowd_is_answered_round_after_round() -> None:
    async with running() as outbox:
        pairs = [pair(outbox) for _ in range(3 * CROWD)]

        async def ask(client: trio.SocketStream, number: int) -> None:
            for turn in range(50):
                question = b"%04d%04d" % (number, turn)
                await client.send_all(question)
                assert await receive(client, 8) == question
                if turn % number == 0:
                    await trio.sleep(0.001)  # falls out of step with the others

        async with trio.open_nursery() as nursery:
            for number, (stream, client) in enumerate(pairs, 1):
                nursery.start_soon(echo, stream, 8, 50)
                nursery.start_soon(ask, client, number)
        for stream, client in pairs:
            await stream.aclose()
            await client.aclose()


async def crowd(outbox: Outbox) -> list[tuple[SocketStream, trio.SocketStream]]:
    """Streams that are about to send something huge."""
    pairs = [pair(outbox) for _ in range(CROWD)]
    for stream, _ in pairs:
        await stream.send_soon(BIG)
    assert outbox.is_crowded
    return pairs


async def test_who_waits_for_its_answer_to_leave_can_be_cancelled() -> None:
    async with running() as outbox:
        pairs = await crowd(outbox)
        stream, client = pairs[0]
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.receive_some(1)
        assert scope.cancelled_caught
        await client.send_all(b"x")
        with trio.fail_after(5):
            assert await stream.receive_some(1) == b"x"
            assert await receive(client, len(BIG)) == BIG
        for stream, client in pairs:
            await stream.aclose()
            await client.aclose()


async def test_one_can_receive_while_the_kernel_has_not_taken_all() -> None:
    async with running() as outbox:
        pairs = await crowd(outbox)
        got: list[bytes] = []

        async def listen(stream: SocketStream) -> None:
            got.append(await stream.receive_some(1))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for stream, client in pairs:
                    nursery.start_soon(listen, stream)
                    await client.send_all(b"x")
            for stream, client in pairs:
                assert await receive(client, len(BIG)) == BIG
                await stream.aclose()
                await client.aclose()
        assert got == [b"x"] * CROWD


async def test_one_can_receive_while_the_kernel_has_not_taken_all_and_others_crowd() -> None:
    async with running() as outbox:
        stuck, client = pair(outbox)
        await stuck.send_soon(BIG)
        await trio.testing.wait_all_tasks_blocked()  # the kernel has taken what it can
        await client.send_all(b"x")
        others = await crowd(outbox)
        with trio.fail_after(5):
            assert await stuck.receive_some(1) == b"x"
        for stream, peer in [(stuck, client), *others]:
            await stream.aclose()
            await peer.aclose()
