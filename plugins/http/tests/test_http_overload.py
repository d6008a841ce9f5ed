"""What a client can't do to the server: make it wait, remember or calculate without end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from kubrick_http.connection import Connection, Limits
from kubrick_http.parser import MAX_HEAD, MAX_HEADERS, Message, RequestParser
from kubrick_http.pulse import Pulse
from kubrick_http.response import Response, Stream
from kubrick_http.target import split_target
from kubrick_kernel import TrioClock

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Deaf:
    """A client that sends, and reads at most `pieces` pieces."""

    def __init__(self, sent: bytes, pieces: int) -> None:
        self._sent = sent
        self._pieces = pieces
        self.received = 0
        self.closed_at = -1.0

    async def receive_some(self, max_bytes: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._sent:
            await trio.sleep_forever()
        sent, self._sent = self._sent, b""
        return sent

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.received == self._pieces:
            await trio.sleep_forever()
        self.received += 1

    async def aclose(self) -> None:
        self.closed_at = trio.current_time()


class Endless:
    """A body that goes on and on."""

    async def next(self) -> bytes:
        await trio.sleep(1)
        return b"x" * 1000


@asynccontextmanager
async def endless() -> AsyncIterator[Stream]:
    yield Endless()


async def large(message: Message, connection: Connection) -> Response:
    return Response(200, "text/plain", [b"x" * 50_000] * 100)


async def streamed(message: Message, connection: Connection) -> Response:
    return Response(200, "text/plain", endless())


async def serve(client: Deaf, answer: object, limits: Limits) -> None:
    """Until the server has had enough."""
    pulse = Pulse(TrioClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulse.run)
        await Connection(client, answer, pulse, limits).run()  # type: ignore[arg-type]  # one of the two above
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("pieces", [0, 3, 7])
async def test_who_does_not_read_an_answer_is_cut_off(pieces: int, autojump_clock: trio.testing.MockClock) -> None:
    client = Deaf(GET, pieces)
    began = trio.current_time()
    await serve(client, large, Limits(write=10))
    assert client.received == pieces
    assert 10 <= client.closed_at - began <= 12.1


async def test_who_does_not_read_a_stream_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    client = Deaf(GET, 5)
    await serve(client, streamed, Limits(write=10))
    assert client.received == 5
    assert 13 <= client.closed_at <= 17.1


async def test_a_body_that_dribbles_in_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    client = Deaf(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", 0)

    async def drip(max_bytes: int) -> bytes:
        await trio.sleep(0.5)
        sent, client._sent = client._sent, b"a"
        return sent

    client.receive_some = drip  # type: ignore[method-assign]  # a byte now and then
    await serve(client, large, Limits(body=20))
    assert 20 <= client.closed_at <= 23


def fed(data: bytes) -> tuple[list[Message], str]:
    ready, refusal = RequestParser(1000).feed(data)
    return ready, refusal.error.message if refusal else ""


def test_a_head_has_so_many_lines_and_no_more() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n"
    ready, why = fed(head + b"A: b\r\n" * (MAX_HEADERS - 1) + b"\r\n")
    assert len(ready[0].header_lists["a"]) == MAX_HEADERS - 1
    assert not why
    for line in (b"A: b\r\n", b"A%d: b\r\n"):
        lines = b"".join(line % number if b"%" in line else line for number in range(MAX_HEADERS))
        ready, why = fed(head + lines + b"\r\n")
        assert (ready, why) == ([], f"Too many request header fields: limit is {MAX_HEADERS}")


def test_a_head_is_as_large_as_it_may_be() -> None:
    ready, why = fed(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 2 * MAX_HEAD)
    assert (ready, why) == ([], f"Request header fields too large: limit is {MAX_HEAD}")


def test_a_parameter_given_very_often_costs_no_more_than_so_many_parameters() -> None:
    """Were they copied for each, this would be a hundred seconds of nothing else."""
    _, query, repeated = split_target("/?" + "a&" * 500_000)
    assert query == {"a": ""}
    assert len(repeated["a"]) == 500_000
