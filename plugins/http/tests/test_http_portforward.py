"""Port-forward in its three forms, to an echo and to a port where nobody listens."""

import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request

from kubrick_api.errors import StatusError
from kubrick_http import Response
from kubrick_http.connection import Connection, Limits
from kubrick_http.multiplexer import Multiplexer, multiplexed
from kubrick_http.parser import Message
from kubrick_http.portforward import TUNNEL, Forwarded, Forwarder, SPDYForwarder, Unforwarded, handshake
from kubrick_http.pulse import Pulse
from kubrick_kernel import TrioClock

ECHO, SHUT = 80, 81


class Ports:
    """Port 80 says in capitals what it hears; nobody listens at others."""

    @asynccontextmanager
    async def connect(self, port: int) -> AsyncIterator[Forwarded]:
        if port != ECHO:
            raise Unforwarded(f"nobody listens at port {port}")
        near, far = trio.testing.memory_stream_pair()

        async def shout() -> None:
            async for data in far:
                await far.send_all(bytes(data).upper())
            await far.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shout)
            yield near
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving(ports: tuple[str, ...] = ()) -> AsyncIterator[Any]:
    @asynccontextmanager
    async def forwarder() -> AsyncIterator[Forwarder]:
        yield Ports()

    async def serve(message: Message, connection: Connection) -> Response:
        try:
            return handshake(message.headers, message.header_lists, ports).response(forwarder())
        except StatusError as error:
            return Response(error.code, body=error.message.encode())

    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Connection(far, serve, Pulse(TrioClock()), Limits()).run)
        yield near
        nursery.cancel_scope.cancel()


async def talk(client: Multiplexer) -> None:
    """Several connections, one of them in vain."""
    forwarder = SPDYForwarder(client)
    for text in (b"hello", b"again"):
        async with forwarder.connect(ECHO) as connection:
            await connection.send_all(text)
            assert await connection.receive_some(100) == text.upper()
            await connection.send_eof()
            assert await connection.receive_some(100) == b""
    with pytest.raises(Unforwarded, match="nobody listens at port 81"):
        await in_vain(forwarder)


async def in_vain(forwarder: SPDYForwarder) -> None:
    async with forwarder.connect(SHUT) as connection:
        with contextlib.suppress(trio.BrokenResourceError):
            await connection.receive_some(100)


async def test_spdy(autojump_clock: trio.testing.MockClock) -> None:
    async with serving() as stream:
        ask = "POST /p HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n"
        await stream.send_all(f"{ask}X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n".encode())
        assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        async with multiplexed(stream, client=True) as client:
            await talk(client)


class Tunnel:
    """A client's WebSocket as a byte stream."""

    def __init__(self, stream: Any, connection: WSConnection) -> None:
        self._stream = stream
        self._connection = connection

    async def receive_some(self, max_bytes: int, /) -> bytes:
        while True:
            for event in self._connection.events():
                if isinstance(event, BytesMessage):
                    return bytes(event.data)
                if isinstance(event, CloseConnection):
                    return b""
            self._connection.receive_data(await self._stream.receive_some(max_bytes) or None)

    async def send_all(self, data: bytes, /) -> None:
        await self._stream.send_all(self._connection.send(BytesMessage(data=data)))

    async def aclose(self) -> None:
        await self._stream.aclose()


async def upgraded(stream: Any, *protocols: str) -> tuple[WSConnection, Any]:
    connection = WSConnection(ConnectionType.CLIENT)
    await stream.send_all(connection.send(Request(host="x", target="/p", subprotocols=list(protocols))))
    connection.receive_data(await stream.receive_some(65536))
    return connection, next(iter(connection.events()))


async def test_spdy_in_a_websocket(autojump_clock: trio.testing.MockClock) -> None:
    async with serving() as stream:
        connection, answer = await upgraded(stream, TUNNEL)
        assert isinstance(answer, AcceptConnection)
        assert answer.subprotocol == TUNNEL
        async with multiplexed(Tunnel(stream, connection), client=True) as client:
            await talk(client)


async def test_channels_of_a_websocket(autojump_clock: trio.testing.MockClock) -> None:
    async with serving((f"{ECHO},{SHUT}",)) as stream:
        connection, _ = await upgraded(stream, "v4.channel.k8s.io")
        # At once, before the server has said which ports it forwards.
        await stream.send_all(connection.send(BytesMessage(data=b"\0hello")))
        found: dict[int, list[bytes]] = {}
        while sum(map(len, found.values())) < 6:
            connection.receive_data(await stream.receive_some(65536))
            for event in connection.events():
                assert isinstance(event, BytesMessage)
                found.setdefault(event.data[0], []).append(bytes(event.data[1:]))
        echo, shut = struct.pack("<H", ECHO), struct.pack("<H", SHUT)
        assert found == {0: [echo, b"HELLO"], 1: [echo], 2: [shut], 3: [shut, b"nobody listens at port 81"]}


async def test_the_older_form_needs_ports(autojump_clock: trio.testing.MockClock) -> None:
    for ports in ((), ("0",), ("http",), ("80,x",)):
        async with serving(ports) as stream:
            await stream.send_all(WSConnection(ConnectionType.CLIENT).send(Request(host="x", target="/p")))
            answer = bytes(await stream.receive_some())
            assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_lonely_stream_is_reset_after_a_while(autojump_clock: trio.testing.MockClock) -> None:
    async with serving() as stream:
        await stream.send_all(
            b"POST /p HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
        )
        await stream.receive_some()
        async with multiplexed(stream, client=True) as client:
            lonely = await client.open({"streamtype": "data", "port": "80", "requestid": "1"})
            with pytest.raises(trio.BrokenResourceError):
                await lonely.receive_some()
            assert 25 < trio.current_time() < 60
