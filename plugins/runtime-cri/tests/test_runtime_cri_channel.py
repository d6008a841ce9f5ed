"""gRPC on a unix socket, against a server of h2's own."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated

from kubrick_runtime_cri.channel import Channel, RPCError
from kubrick_runtime_cri.messages import CRI
from kubrick_runtime_cri.relist import Relist

LIST = CRI.method("ListContainers")
Answer = Callable[["Peer", int, bytes], Awaitable[None]]


class Peer:
    """One connection's server end. What was asked is in `requests` (path, body, headers)."""

    def __init__(self, stream: trio.SocketStream, answer: Answer) -> None:
        self.stream = stream
        self.h2 = H2Connection(H2Configuration(client_side=False))
        self.requests: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.resets: list[int] = []
        self.room = trio.Event()
        self.sending = trio.Lock()
        self._answer = answer

    async def run(self) -> None:
        self.h2.initiate_connection()
        await self.flush()
        async with trio.open_nursery() as nursery:
            try:
                while data := await self.stream.receive_some(65536):
                    for event in self.h2.receive_data(data):
                        if isinstance(event, RequestReceived):
                            self.requests[event.stream_id] = {k.decode(): v.decode() for k, v in event.headers}
                            self.bodies[event.stream_id] = b""
                        elif isinstance(event, DataReceived):
                            self.bodies[event.stream_id] += event.data
                            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                        elif isinstance(event, StreamReset):
                            self.resets.append(event.stream_id)
                        elif isinstance(event, WindowUpdated):
                            self.room.set()
                        elif isinstance(event, StreamEnded):
                            nursery.start_soon(self._answer, self, event.stream_id, self.bodies[event.stream_id][5:])
                    await self.flush()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            nursery.cancel_scope.cancel()

    async def flush(self) -> None:
        async with self.sending:
            if data := self.h2.data_to_send():
                await self.stream.send_all(data)

    async def send(self, number: int, message: Any) -> None:
        body = message.SerializeToString()
        rest = b"\0" + len(body).to_bytes(4, "big") + body
        while rest:
            size = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if not size:
                self.room = trio.Event()
                await self.room.wait()
                continue
            self.h2.send_data(number, rest[:size])
            rest = rest[size:]
            await self.flush()

    async def finish(self, number: int, status: int = 0, message: str = "") -> None:
        self.h2.send_headers(number, [("grpc-status", str(status)), ("grpc-message", message)], end_stream=True)
        await self.flush()

    async def begin(self, number: int) -> None:
        self.h2.send_headers(number, [(":status", "200"), ("content-type", "application/grpc")])
        await self.flush()


@asynccontextmanager
async def serving(path: Path, answer: Answer) -> AsyncIterator[list[Peer]]:
    peers: list[Peer] = []
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(str(path))
    listener.listen()

    async def handle(stream: trio.SocketStream) -> None:
        peer = Peer(stream, answer)
        peers.append(peer)
        async with stream:
            await peer.run()

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, handle, [trio.SocketListener(listener)])
            yield peers
            nursery.cancel_scope.cancel()
    finally:
        os.unlink(path)


@asynccontextmanager
async def channel_to(path: Path) -> AsyncIterator[Channel]:
    async with trio.open_nursery() as nursery:
        channel = Channel(str(path))
        await nursery.start(channel.run)
        yield channel
        nursery.cancel_scope.cancel()


async def echo(peer: Peer, number: int, body: bytes) -> None:
    """Answers with a container named like the request's filter."""
    wanted = LIST.request.FromString(body).filter.id
    await peer.begin(number)
    await peer.send(number, LIST.response(containers=[{"id": wanted}]))
    await peer.finish(number)


async def ask(channel: Channel, name: str, timeout: float = 5) -> str:
    response = await channel.call(LIST, LIST.request(filter={"id": name}), timeout)
    return str(response.containers[0].id)


async def test_calls_share_a_connection_and_carry_their_deadline(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", echo) as peers, channel_to(tmp_path / "s") as channel:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, channel, str(number))
        assert await ask(channel, "last", 1.5) == "last"
        assert len(peers) == 1
        headers = list(peers[0].requests.values())[-1]
        assert headers[":path"] == "/runtime.v1.RuntimeService/ListContainers"
        assert headers["grpc-timeout"] == "1500m"


async def test_messages_larger_than_every_window_pass_both_ways(tmp_path: Path) -> None:
    name = "x" * 3_000_000
    async with serving(tmp_path / "s", echo), channel_to(tmp_path / "s") as channel:
        assert await ask(channel, name) == name
        assert await ask(channel, "small") == "small"


async def test_a_servers_error_is_told_in_gos_words(tmp_path: Path) -> None:
    async def refuse(peer: Peer, number: int, body: bytes) -> None:
        peer.h2.send_headers(
            number,
            [(":status", "200"), ("grpc-status", "5"), ("grpc-message", "no such%20thing: 100%25")],
            end_stream=True,
        )
        await peer.flush()

    async with serving(tmp_path / "s", refuse), channel_to(tmp_path / "s") as channel:
        with pytest.raises(RPCError) as caught:
            await ask(channel, "a")
    assert str(caught.value) == "rpc error: code = NotFound desc = no such thing: 100%"


async def test_a_message_before_an_error_does_not_count(tmp_path: Path) -> None:
    async def half(peer: Peer, number: int, body: bytes) -> None:
        await peer.begin(number)
        await peer.send(number, LIST.response())
        await peer.finish(number, 13, "broke")

    async with serving(tmp_path / "s", half), channel_to(tmp_path / "s") as channel:
        with pytest.raises(RPCError, match="broke"):
            await ask(channel, "a")


async def silence(peer: Peer, number: int, body: bytes) -> None:
    return


async def test_a_call_without_an_answer_ends_at_its_deadline_and_is_reset(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", silence) as peers, channel_to(tmp_path / "s") as channel:
        with pytest.raises(RPCError, match="code = DeadlineExceeded"):
            await ask(channel, "a", 0.05)
        while not peers[0].resets:
            await trio.lowlevel.checkpoint()


async def test_a_connection_that_breaks_fails_its_calls_and_the_next_call_makes_another(tmp_path: Path) -> None:
    async with channel_to(tmp_path / "s") as channel:
        with pytest.raises(RPCError, match="code = Unavailable"):
            await ask(channel, "nobody there")
        async with trio.open_nursery() as nursery:

            async def broken() -> None:
                with pytest.raises(RPCError, match="code = Unavailable"):
                    await ask(channel, "a")
                nursery.cancel_scope.cancel()

            async with serving(tmp_path / "s", silence) as peers:
                nursery.start_soon(broken)
                while not (peers and peers[0].bodies):
                    await trio.lowlevel.checkpoint()
        async with serving(tmp_path / "s", echo):
            assert await ask(channel, "b") == "b"


async def test_streams_hand_out_their_messages_until_they_end(tmp_path: Path) -> None:
    async def three(peer: Peer, number: int, body: bytes) -> None:
        await peer.begin(number)
        for name in ("a", "b", "c"):
            await peer.send(number, LIST.response(containers=[{"id": name}]))
        await peer.finish(number)

    async with serving(tmp_path / "s", three), channel_to(tmp_path / "s") as channel:
        found = []
        async with channel.stream(LIST, LIST.request()) as call:
            while (data := await call.next()) is not None:
                found.append(LIST.response.FromString(data).containers[0].id)
    assert found == ["a", "b", "c"]


async def test_relisting_tells_of_changes_once_and_not_of_what_we_did(autojump_clock: trio.abc.Clock) -> None:
    there = {"c1": ("pod-a", 1), "c2": ("pod-b", 1)}

    class Listing:
        async def __call__(self, name: str, *_: float) -> Any:
            items = [{"id": i, "state": s, "labels": {"io.kubernetes.pod.uid": u}} for i, (u, s) in there.items()]
            if name == "ListContainers":
                return LIST.response(containers=items)
            return CRI.method("ListPodSandbox").response()

        @asynccontextmanager
        async def stream(self, *_: Any) -> AsyncIterator[Any]:
            raise RPCError(12, "unknown method")
            yield

    changed: list[str] = []
    relist = Relist(Listing(), changed.append)  # type: ignore[arg-type]  # as much of Calls as is used
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relist.run)
        await trio.sleep(0.5)
        there["c1"] = ("pod-a", 2)
        there["c3"] = ("pod-c", 1)
        relist.note("c3", "pod-c", 1)
        await trio.sleep(3)
        assert changed == ["pod-a"]
        del there["c2"]
        await trio.sleep(3)
        assert changed == ["pod-a", "pod-b"]
        assert sorted(relist.running(1)) == ["c3"]
        nursery.cancel_scope.cancel()
