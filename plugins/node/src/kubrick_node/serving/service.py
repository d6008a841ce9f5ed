"""`kubrick_api_core.agents.Agent` for the pods of one node: finds the pod and the container, and asks the
runtime. Exec, attach and port-forward go on to the runtime's own streaming server."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

from kubrick_api.errors import StatusError, internal
from kubrick_api_core.agents import Target
from kubrick_http import Response, Stream
from kubrick_http.client import Address, Unanswered
from kubrick_http.portforward import Forwarder, spdy_forwarder
from kubrick_http.remotecommand import Session, Streams, spdy_session
from kubrick_node.runtime import ContainerRuntime, PodState, RuntimeFailure
from kubrick_node.serving import choice

if TYPE_CHECKING:
    from kubrick_kernel import Clock

Object = dict[str, Any]
WAITING_PIECES = 8
OBSERVE_SECONDS = 2.0


class PodService:
    """One node's. `pods` gives the pods as new as they are known; `paths` answers the agent's own paths."""

    def __init__(
        self,
        pods: Callable[[], Sequence[Object]],
        runtime: ContainerRuntime,
        clock: "Clock",
    ) -> None:
        self.pods = pods
        self.runtime = runtime
        self._clock = clock
        self.paths: Callable[[str, str, Mapping[str, str], bytes], Any] | None = None

    async def _observed(self, pod: Object, wanted: bool) -> PodState:
        """A runtime that is away is not waited for: logs can be read without it. Raises StatusError."""
        try:
            with trio.move_on_after(OBSERVE_SECONDS):
                return await self.runtime.observe(pod)
        except RuntimeFailure as failure:
            raise internal(failure.message) from None
        state = None if wanted else self.runtime.remembered(pod)
        if state is None:
            raise internal("container runtime is down")
        return state

    async def _found(self, target: Target, *, wanted: bool = True) -> tuple[Object, PodState]:
        """The pod and what there is of it; what there was, unless the runtime is `wanted`. Raises StatusError."""
        for pod in self.pods():
            metadata = pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (target.namespace, target.pod) and target.uid in (
                "",
                metadata["uid"],
            ):
                return pod, await self._observed(pod, wanted)
        raise StatusError(404, "NotFound", f'pod "{target.pod}" not found')

    def logs(self, target: Target, params: Mapping[str, str]) -> AbstractAsyncContextManager[Stream]:
        """`Agent.logs`."""
        return self._logs(target, params)

    @asynccontextmanager
    async def _logs(self, target: Target, params: Mapping[str, str]) -> AsyncIterator[Stream]:
        pod, state = await self._found(target, wanted=False)
        if not choice.has_container(pod, target.container):
            name = target.pod
            raise StatusError(404, "NotFound", f'container "{target.container}" not found in pod "{name}"')
        container = choice.logged(pod, state, target.container, params.get("previous") in ("true", "1"))
        options = choice.log_options(params, self._clock.now())
        reading = _Reading()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.read, self.runtime, container, options)
            yield reading
            nursery.cancel_scope.cancel()

    def exec(self, target: Target, command: Sequence[str], streams: Streams) -> AbstractAsyncContextManager[Session]:
        """`Agent.exec`."""
        return self._exec(target, command, streams)

    @asynccontextmanager
    async def _exec(self, target: Target, command: Sequence[str], streams: Streams) -> AsyncIterator[Session]:
        _, state = await self._found(target)
        container = choice.running(state, target.container)
        wanted = _flags(streams)
        try:
            url = await self.runtime.exec_url(container.id, command, **wanted)
        except RuntimeFailure as failure:
            raise _failed(failure) from None
        async with _session(url, streams) as session:
            yield session

    def attach(self, target: Target, streams: Streams) -> AbstractAsyncContextManager[Session]:
        """`Agent.attach`."""
        return self._attach(target, streams)

    @asynccontextmanager
    async def _attach(self, target: Target, streams: Streams) -> AsyncIterator[Session]:
        _, state = await self._found(target)
        container = choice.running(state, target.container)
        try:
            url = await self.runtime.attach_url(container.id, **_flags(streams))
        except RuntimeFailure as failure:
            raise _failed(failure) from None
        async with _session(url, streams) as session:
            yield session

    def port_forward(self, target: Target, ports: Sequence[int]) -> AbstractAsyncContextManager[Forwarder]:
        """`Agent.port_forward`."""
        return self._port_forward(target, ports)

    @asynccontextmanager
    async def _port_forward(self, target: Target, ports: Sequence[int]) -> AsyncIterator[Forwarder]:
        _, state = await self._found(target)
        if not state.sandbox_ready:
            raise StatusError(500, "InternalError", f'pod "{target.pod}" has no running sandbox')
        try:
            url = await self.runtime.port_forward_url(state.sandbox_id, ports)
        except RuntimeFailure as failure:
            raise _failed(failure) from None
        address, path = _split(url)
        try:
            async with spdy_forwarder(address, path) as forwarder:
                yield forwarder
        except Unanswered as error:
            raise internal(f"the container runtime's streaming server: {error}") from None

    async def run(self, target: Target, command: Sequence[str], timeout: float) -> tuple[int, bytes]:
        """A command without streams: its exit code and all its output."""
        pod, state = await self._found(target)
        container = choice.running(state, target.container)
        try:
            code, out, err = await self.runtime.exec_sync(pod, container.id, command, timeout)
        except RuntimeFailure as failure:
            raise _failed(failure) from None
        return code, out + err

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """`Agent.request`."""
        if self.paths is None:
            raise StatusError(404, "NotFound", "404 page not found")
        answer: Response = await self.paths(method, path, headers, body)
        return answer


def _flags(streams: Streams) -> dict[str, bool]:
    return {
        "stdin": streams.stdin,
        "stdout": streams.stdout,
        "stderr": streams.stderr and not streams.tty,
        "tty": streams.tty,
    }


def _failed(failure: RuntimeFailure) -> StatusError:
    if failure.reason == "Unsupported":
        return StatusError(501, "NotImplemented", failure.message)
    return internal(failure.message)


def _split(url: str) -> tuple[Address, str]:
    """Where a streaming server is, and what to ask it."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Address(parts.hostname or "127.0.0.1", parts.port or 80), target


@asynccontextmanager
async def _session(url: str, streams: Streams) -> AsyncIterator[Session]:
    address, path = _split(url)
    try:
        async with spdy_session(address, path, streams) as session:
            yield session
    except Unanswered as error:
        raise internal(f"the container runtime's streaming server: {error}") from None


class _Reading:
    """A log as the runtime hands it out, for whoever sends it on. What waits is bounded."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[bytes](WAITING_PIECES)

    async def read(self, runtime: ContainerRuntime, container: str, options: Any) -> None:
        with self._send:
            try:
                await runtime.read_logs(container, options, self._write)
            except RuntimeFailure as failure:
                # The head has been sent: the reason can only be told where the log would have been.
                await self._write(f"{failure.message}\n".encode())
            except trio.BrokenResourceError:
                pass

    async def _write(self, piece: bytes) -> None:
        if piece:
            await self._send.send(piece)

    async def next(self) -> bytes:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            return b""
