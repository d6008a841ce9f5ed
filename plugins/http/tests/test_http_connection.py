"""The HTTP layer on memory streams: what goes in as bytes, what comes out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kubrick_http.connection import Connection, Limits
from kubrick_http.parser import BODY, HEAD, IDLE, Message, RequestParser
from kubrick_http.pulse import Pulse
from kubrick_http.response import Response
from kubrick_kernel import TrioClock

HOST = b"Host: kubernetes\r\n"
Answer = Callable[[Message, Connection], Awaitable[Response]]


def get(path: str = "/", *headers: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n".encode() + HOST + "".join(f"{each}\r\n" for each in headers).encode() + b"\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n" % len(body)
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


async def echo(message: Message, connection: Connection) -> Response:
    """Answers with the target and the body."""
    return Response(200, "text/plain", message.target.encode() + b" " + message.body)


class Peer:
    """The client's side of one connection under test."""

    def __init__(self, stream: trio.StapledStream[Any, Any], connection: Connection) -> None:
        self.stream = stream
        self.connection = connection
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            data = await self.stream.receive_some(65536)
            if not data:
                raise EOFError(self._buffer)
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(end)
        return found

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next response."""
        lines = (await self._until(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._buffer += await self.stream.receive_some(65536)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(lines[0].split(" ")[1]), headers, body

    async def chunk(self) -> bytes:
        """The next chunk of a streamed body; b"" for the last."""
        size = int(await self._until(b"\r\n"), 16)
        while len(self._buffer) < size + 2:
            self._buffer += await self.stream.receive_some(65536)
        piece, self._buffer = self._buffer[:size], self._buffer[size + 2 :]
        return piece

    async def closed(self) -> bool:
        return not self._buffer and await self.stream.receive_some(65536) == b""


@asynccontextmanager
async def connected(answer: Answer = echo, limits: Limits | None = None) -> AsyncIterator[Peer]:
    """A connection served in the background; it has ended when the block is left."""
    client, server = trio.testing.memory_stream_pair()
    pulse = Pulse(TrioClock())
    connection = Connection(server, answer, pulse, limits or Limits(max_body=1000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulse.run)
        nursery.start_soon(connection.run)
        yield Peer(client, connection)
        nursery.cancel_scope.cancel()


async def test_a_connection_answers_one_request_after_another() -> None:
    async with connected() as peer:
        for number in range(3):
            await peer.send(get(f"/{number}"))
            status, headers, body = await peer.response()
            assert (status, body) == (200, f"/{number} ".encode())
            assert "connection" not in headers


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def slow_first(message: Message, connection: Connection) -> Response:
        if message.target == "/0":
            await trio.testing.wait_all_tasks_blocked()
        return await echo(message, connection)

    async with connected(slow_first) as peer:
        await peer.send(get("/0") + post(b"one") + get("/2"))
        assert [(await peer.response())[2] for _ in range(3)] == [b"/0 ", b"/ one", b"/2 "]


async def test_a_small_response_is_one_send() -> None:
    sent: list[bytes] = []

    class Recorder:
        async def receive_some(self, max_bytes: int) -> bytes:
            if sent:
                return b""
            return get("/x")

        async def send_all(self, data: bytes) -> None:
            sent.append(data)

        async def aclose(self) -> None:
            pass

    await Connection(Recorder(), echo, Pulse(TrioClock()), Limits()).run()
    assert len(sent) == 1


async def test_a_request_in_single_bytes_is_understood() -> None:
    async with connected() as peer:
        for byte in post(b"body"):
            await peer.send(bytes([byte]))
        assert (await peer.response())[2] == b"/ body"


async def test_a_chunked_body_is_put_together() -> None:
    async with connected() as peer:
        await peer.send(
            b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        assert (await peer.response())[2] == b"/c abcde"


async def test_a_client_that_expects_100_is_told_to_go_on() -> None:
    async with connected() as peer:
        await peer.send(b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await peer.response())[0] == 100
        await peer.send(b"ok")
        assert (await peer.response())[2] == b"/ ok"


async def test_another_expectation_is_refused() -> None:
    async with connected() as peer:
        await peer.send(get("/", "Expect: miracles"))
        assert (await peer.response())[0] == 417


async def test_head_has_the_length_but_not_the_body() -> None:
    async with connected() as peer:
        await peer.send(b"HEAD /x HTTP/1.1\r\n" + HOST + b"\r\n")
        head = await peer._until(b"\r\n\r\n")
        assert b"Content-Length: 3" in head
        await peer.send(get("/y"))
        assert (await peer.response())[2] == b"/y "


async def test_http_1_0_closes_unless_asked_not_to() -> None:
    async with connected() as peer:
        await peer.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await peer.response())[1]["connection"] == "keep-alive"
        await peer.send(b"GET /b HTTP/1.0\r\n\r\n")
        assert (await peer.response())[1]["connection"] == "close"
        assert await peer.closed()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Bad Header: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n", 413),
    ],
)
async def test_what_is_not_understood_is_refused_and_the_connection_closed(
    data: bytes, code: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected() as peer:
        await peer.send(data)
        status, headers, body = await peer.response()
        assert status == code
        assert headers["connection"] == "close"
        assert b'"kind":"Status"' in body
        assert await peer.closed()


async def test_requests_before_a_malformed_one_are_answered(autojump_clock: trio.testing.MockClock) -> None:
    async with connected() as peer:
        await peer.send(get("/fine") + b"NONSENSE\r\n\r\n")
        assert (await peer.response())[2] == b"/fine "
        assert (await peer.response())[0] == 400


async def test_a_head_without_end_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with connected() as peer:
        await peer.send(b"GET / HTTP/1.1\r\n" + HOST)
        for number in range(40):
            await peer.send(b"X-%d: " % number + b"x" * 30000 + b"\r\n")
        assert (await peer.response())[0] == 431


async def test_an_upgrade_is_answered_as_plain_http() -> None:
    async with connected() as peer:
        upgrade = get("/u", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
        await peer.send(upgrade + get("/v"))
        assert (await peer.response())[2] == b"/u "
        assert (await peer.response())[2] == b"/v "


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nab"])
async def test_a_client_that_sends_too_slowly_is_dropped(start: bytes, autojump_clock: trio.testing.MockClock) -> None:
    limits = Limits(head=5, body=7, idle=20)
    async with connected(limits=limits) as peer:
        began = trio.current_time()
        if start:
            await peer.send(start)
        assert await peer.closed()
        allowed = 20 if not start else 7 if b"Length" in start else 5
        assert allowed <= trio.current_time() - began <= allowed + 2.1


async def test_dripping_bytes_does_not_help(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(limits=Limits(head=5)) as peer:
        with pytest.raises(trio.BrokenResourceError):
            await drip(peer)
        assert trio.current_time() < 10


async def drip(peer: Peer) -> None:
    """A byte of a request each second."""
    for _ in range(20):
        await peer.send(b"G")
        await trio.sleep(1)


async def test_a_handler_over_its_deadline_answers_504(autojump_clock: trio.testing.MockClock) -> None:
    async def forever(message: Message, connection: Connection) -> Response:
        connection.deadline = connection.pulse.now + 60
        await trio.sleep_forever()
        raise AssertionError

    async with connected(forever) as peer:
        await peer.send(get())
        status, headers, body = await peer.response()
        assert (status, headers["connection"]) == (504, "close")
        assert b"request did not complete within the allotted timeout" in body


class Ticks:
    """A stream of numbers, one a second; remembers whether it was closed."""

    def __init__(self, last: int = 10**9) -> None:
        self.last = last
        self.closed = False

    async def __aenter__(self) -> "Ticks":
        self.number = 0
        return self

    async def __aexit__(self, *details: object) -> None:
        self.closed = True

    async def next(self) -> bytes:
        if self.number == self.last:
            return b""
        await trio.sleep(1)
        self.number += 1
        return b"%d\n" % self.number


def streaming(ticks: Ticks) -> Answer:
    async def answer(message: Message, connection: Connection) -> Response:
        return Response(200, body=ticks) if message.target == "/watch" else await echo(message, connection)

    return answer


async def test_a_streamed_body_arrives_piece_by_piece_and_the_connection_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(streaming(Ticks(last=3))) as peer:
        await peer.send(get("/watch"))
        status, headers, _ = await peer.response()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert [await peer.chunk() for _ in range(4)] == [b"1\n", b"2\n", b"3\n", b""]
        await peer.send(get("/next"))
        assert (await peer.response())[2] == b"/next "


async def test_a_request_sent_during_a_stream_is_answered_after_it(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(streaming(Ticks(last=2))) as peer:
        await peer.send(get("/watch"))
        await peer.response()
        await peer.send(get("/next"))
        assert [await peer.chunk() for _ in range(3)] == [b"1\n", b"2\n", b""]
        assert (await peer.response())[2] == b"/next "


async def test_a_client_that_leaves_ends_its_watch_at_once(autojump_clock: trio.testing.MockClock) -> None:
    ticks = Ticks()
    async with connected(streaming(ticks)) as peer:
        await peer.send(get("/watch"))
        await peer.response()
        await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert ticks.closed


async def test_draining_ends_a_watch_cleanly(autojump_clock: trio.testing.MockClock) -> None:
    ticks = Ticks()
    async with connected(streaming(ticks)) as peer:
        await peer.send(get("/watch"))
        await peer.response()
        assert await peer.chunk() == b"1\n"
        peer.connection.drain()
        assert await peer.chunk() == b""
        assert await peer.closed()
        assert ticks.closed


async def test_draining_lets_a_request_finish_and_says_that_it_was_the_last(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(message: Message, connection: Connection) -> Response:
        await trio.sleep(3)
        return await echo(message, connection)

    async with connected(slow) as peer:
        await peer.send(get("/slow"))
        await trio.sleep(1)
        peer.connection.drain()
        status, headers, _ = await peer.response()
        assert (status, headers["connection"]) == (200, "close")
        assert await peer.closed()


async def test_draining_closes_an_idle_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with connected() as peer:
        await trio.testing.wait_all_tasks_blocked()
        peer.connection.drain()
        assert await peer.closed()


async def test_a_large_list_arrives_whole() -> None:
    pieces = [b"x" * 1000] * 2000

    async def answer(message: Message, connection: Connection) -> Response:
        return Response(200, body=pieces)

    async with connected(answer) as peer:
        await peer.send(get())
        assert (await peer.response())[2] == b"".join(pieces)


def test_repeated_headers_are_kept_apart() -> None:
    ready, refusal = RequestParser(100).feed(get("/", "Impersonate-Group: a,b", "Impersonate-Group: c"))
    assert refusal is None
    assert ready[0].headers["impersonate-group"] == "c"
    assert ready[0].header_lists == {"impersonate-group": ("a,b", "c")}


def test_the_parser_says_what_it_waits_for() -> None:
    parser = RequestParser(100)
    assert parser.state is IDLE
    parser.feed(b"GET / HTTP/1.1\r\n")
    assert parser.state is HEAD
    parser.feed(HOST + b"Content-Length: 1\r\n\r\n")
    assert parser.state is BODY
    assert len(parser.feed(b"x")[0]) == 1
    assert parser.state is IDLE


@given(
    bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_how_the_bytes_are_cut_makes_no_difference(bodies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(post(body, b"X-Number: %d" % number) for number, body in enumerate(bodies))
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    parser = RequestParser(1000)
    found = []
    for start, end in pairwise(places):
        ready, refusal = parser.feed(data[start:end])
        assert refusal is None
        found += [(message.body, message.headers["x-number"]) for message in ready]
    assert found == [(body, str(number)) for number, body in enumerate(bodies)]


@given(st.binary(max_size=300))
def test_any_bytes_are_either_requests_or_refused(data: bytes) -> None:
    parser = RequestParser(100)
    ready, refusal = parser.feed(data)
    assert all(message.method for message in ready)
    if refusal is not None:
        assert 400 <= refusal.error.code <= 505
