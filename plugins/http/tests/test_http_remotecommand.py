"""Exec sessions over WebSockets and SPDY, and what the channels carry."""

import secrets
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, RejectConnection, Request, TextMessage

from kubrick_api.errors import StatusError
from kubrick_http import Response
from kubrick_http.channels import (
    CLOSE,
    ERROR,
    RESIZE,
    SPDY,
    STDERR,
    STDIN,
    STDOUT,
    SUCCESS,
    WEBSOCKET,
    Decoder,
    MalformedMessage,
    Piece,
    as_text,
    choose,
    encode,
    exit_code,
    exit_status,
    failure_status,
)
from kubrick_http.connection import Connection, Limits
from kubrick_http.multiplexer import multiplexed
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_http.remotecommand import Session, Streams, handshake
from kubrick_kernel import TrioClock

ALL = Streams(stdin=True)


class Echo:
    """A command that says on stdout what it reads, on stderr how its terminal is, and ends with its input."""

    def __init__(self, code: int = 0) -> None:
        self._send, self._receive = trio.open_memory_channel[Piece](100)
        self._code = code

    async def receive(self) -> Piece | None:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            return None

    async def send(self, channel: int, data: bytes) -> None:
        await self._send.send((STDOUT if channel == STDIN else STDERR, data))

    async def close_stdin(self) -> None:
        await self._send.send((ERROR, exit_status(self._code)))


@asynccontextmanager
async def opened(session: Session) -> AsyncIterator[Session]:
    yield session


@asynccontextmanager
async def serving(session: Session, wanted: Streams = ALL) -> AsyncIterator[Any]:
    """A client's end of a connection to a server that runs `session` for whoever asks."""

    async def serve(message: Message, connection: Connection) -> Response:
        try:
            return handshake(message.headers, message.header_lists).response(wanted, opened(session))
        except StatusError as error:
            return Response(error.code, body=error.message.encode())

    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Connection(far, serve, Pulse(TrioClock()), Limits()).run)
        yield near
        nursery.cancel_scope.cancel()


class Client:
    """A WebSocket client."""

    def __init__(self, stream: Any, *protocols: str) -> None:
        self.stream = stream
        self.connection = WSConnection(ConnectionType.CLIENT)
        self.protocols = list(protocols)
        self.events: list[Any] = []

    async def open(self) -> Any:
        request = Request(host="x", target="/exec", subprotocols=self.protocols)
        await self.stream.send_all(self.connection.send(request))
        return await self.event()

    async def event(self) -> Any:
        while not self.events:
            data = await self.stream.receive_some(65536)
            self.connection.receive_data(data or None)
            self.events += self.connection.events()
        return self.events.pop(0)

    async def send(self, data: bytes | str) -> None:
        message = BytesMessage(data=data) if isinstance(data, bytes) else TextMessage(data=data)
        await self.stream.send_all(self.connection.send(message))

    async def messages(self) -> list[bytes]:
        """Every message until the server closes."""
        found = []
        while not isinstance(event := await self.event(), CloseConnection):
            found.append(bytes(event.data) if isinstance(event, BytesMessage) else event.data.encode())
        return found


async def test_v5_carries_the_end_of_stdin(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(Echo(3)) as stream:
        client = Client(stream, "v5.channel.k8s.io", "v4.channel.k8s.io")
        accepted = await client.open()
        assert isinstance(accepted, AcceptConnection)
        assert accepted.subprotocol == "v5.channel.k8s.io"
        await client.send(b"\0hello")
        await client.send(bytes((CLOSE, STDIN)))
        *said, status = await client.messages()
        assert said == [b"\1", b"\1hello"]
        told = orjson.loads(status[1:])
        assert status[0] == ERROR
        assert told["reason"] == "NonZeroExitCode"
        assert told["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_base64_messages_are_text(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(Echo()) as stream:
        client = Client(stream, "v4.base64.channel.k8s.io")
        await client.open()
        assert (await client.event()).data == "1"
        await client.send("0" + b64encode(b"hello").decode())
        answer = (await client.event()).data
        assert (answer[0], b64decode(answer[1:])) == ("1", b"hello")


async def test_a_terminals_size_goes_to_the_command(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(Echo(), Streams(stdin=True, tty=True, stderr=False)) as stream:
        client = Client(stream, "v4.channel.k8s.io")
        await client.open()
        await client.event()
        await client.send(b'\4{"Width":120,"Height":40}')
        assert (await client.event()).data == b'\2{"Width":120,"Height":40}'


async def test_protocols_nobody_knows_are_refused_before_the_session(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(Echo()) as stream:
        answer = await Client(stream, "v9.channel.k8s.io").open()
        assert isinstance(answer, RejectConnection)
        assert answer.status_code == 403


async def test_a_message_on_a_channel_that_is_not_the_clients_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(Echo()) as stream:
        client = Client(stream, "v4.channel.k8s.io")
        await client.open()
        await client.event()
        await client.send(b"\1not for you to say")
        closed = await client.event()
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1002


async def test_a_session_that_cannot_begin_is_an_answer_and_the_connection_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    @asynccontextmanager
    async def refusing() -> AsyncIterator[Session]:
        raise StatusError(400, "BadRequest", "not today")
        yield

    async def serve(message: Message, connection: Connection) -> Response:
        return handshake(message.headers, message.header_lists).response(ALL, refusing())

    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Connection(far, serve, Pulse(TrioClock()), Limits()).run)
        for _ in range(2):
            await near.send_all(
                b"POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                b"Content-Length: 0\r\n\r\n"
            )
            answer = bytes(await near.receive_some())
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"not today" in answer
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v2.channel.k8s.io"])
async def test_spdy_has_a_stream_for_each(protocol: str, autojump_clock: trio.testing.MockClock) -> None:
    async with serving(Echo(7)) as stream:
        ask = "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        await stream.send_all(f"{ask}X-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n\r\n".encode())
        head = bytes(await stream.receive_some())
        assert head.startswith(b"HTTP/1.1 101 ")
        assert f"X-Stream-Protocol-Version: {protocol}".encode() in head
        async with multiplexed(stream, client=True) as client:
            streams = {
                name: await client.open({"streamtype": name}, fin=name in ("error", "stdout", "stderr"))
                for name in ("error", "stdin", "stdout", "stderr")
            }
            await streams["stdin"].send_all(b"hello")
            assert await streams["stdout"].receive_some() == b"hello"
            await streams["stdin"].send_eof()
            status = await streams["error"].receive_some()
            if protocol.startswith("v4"):
                assert orjson.loads(status)["details"]["causes"][0]["message"] == "7"
            else:
                assert status == b"command terminated with non-zero exit code: exit status 7"
            assert await streams["stdout"].receive_some() == b""
            assert await streams["error"].receive_some() == b""


@given(
    st.sampled_from([each for each in WEBSOCKET.values() if not each.text]),
    st.sampled_from([STDIN, RESIZE]),
    st.binary(min_size=1, max_size=500),
    st.integers(1, 50),
)
def test_a_message_reads_the_same_in_pieces(protocol: Any, channel: int, data: bytes, size: int) -> None:
    message = encode(protocol, channel, data)
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    decoder = Decoder(protocol)
    found = [decoder.feed(piece, index == 0, index == len(pieces) - 1) for index, piece in enumerate(pieces)]
    told = [each for each in found if each is not None]
    assert b"".join(piece for _, piece in told) == data
    assert {number for number, _ in told} == {channel}


@given(st.sampled_from([each for each in WEBSOCKET.values() if each.text]), st.binary(min_size=1, max_size=500))
def test_base64_messages_come_back(protocol: Any, data: bytes) -> None:
    assert Decoder(protocol).feed(encode(protocol, STDIN, data), True, True) == (STDIN, data)


@given(st.sampled_from(list(WEBSOCKET.values())), st.binary(max_size=60))
def test_no_message_is_more_than_malformed(protocol: Any, data: bytes) -> None:
    try:
        Decoder(protocol).feed(data, True, True)
    except MalformedMessage:
        pass


def test_the_clients_first_choice_that_is_known_wins() -> None:
    assert choose(["v9", "v4.channel.k8s.io", "v5.channel.k8s.io"], WEBSOCKET) is WEBSOCKET["v4.channel.k8s.io"]
    assert choose([], SPDY) is SPDY[""]
    assert choose(["v9"], SPDY) is None


@given(st.integers(0, 255))
def test_an_exit_code_survives_its_status(code: int) -> None:
    assert exit_code(exit_status(code)) == code
    assert exit_code(b"nonsense") is None
    assert exit_code(failure_status("why")) is None


@given(st.integers(1, 255))
def test_old_protocols_hear_of_failures_only(code: int) -> None:
    assert as_text(SUCCESS) == b""
    assert as_text(exit_status(code)) == f"command terminated with non-zero exit code: exit status {code}".encode()


def test_a_handshake_wants_sixteen_bytes() -> None:
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    with pytest.raises(StatusError, match="16 bytes in base64"):
        handshake({**headers, "sec-websocket-key": "short"}, {})
    key = b64encode(secrets.token_bytes(16)).decode()
    assert handshake({**headers, "sec-websocket-key": key}, {}).protocol.name == ""
