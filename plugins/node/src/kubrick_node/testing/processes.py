"""A container runtime whose containers are plain processes of this machine, of this user.

No images, no isolation, no root: a container's `command` is run as it is, in a folder of its own, with its
environment. What is real is everything around it: output as it comes, exit codes, terminals, signals,
and a streaming server as a CRI runtime has it, so that a test can go the whole way from kubectl to a
process. Ports are those of 127.0.0.1.
"""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import trio
from attrs import define, field

from kubrick_api.errors import StatusError
from kubrick_http import Response, portforward, remotecommand
from kubrick_http.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT, Piece, exit_status
from kubrick_http.connection import Connection, Limits
from kubrick_http.listener import HTTPServer, open_socket
from kubrick_http.parser import Message
from kubrick_http.portforward import Forwarded, Unforwarded
from kubrick_http.pulse import Pulse
from kubrick_http.remotecommand import Session, Streams
from kubrick_http.writer import status_response, text_response
from kubrick_kernel import Clock, rfc3339_micro
from kubrick_node.runtime import (
    ContainerRuntime,
    ContainerSpec,
    ContainerState,
    LogOptions,
    PodState,
    RuntimeFailure,
    RuntimeInfo,
    SandboxSpec,
)

Object = dict[str, Any]
KEPT_LINES = 10_000
PIECE = 32768
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@define(eq=False)
class _Line:
    at: datetime
    stream: str
    data: bytes


@define(eq=False)
class _Container:
    name: str
    id: str
    image: str
    attempt: int
    process: "_Process"
    started_at: datetime
    finished_at: datetime | None = None
    lines: deque[_Line] = field(factory=lambda: deque(maxlen=KEPT_LINES))
    grown: trio.Event = field(factory=trio.Event)
    ended: trio.Event = field(factory=trio.Event)
    attached: "set[_Attached]" = field(factory=set)

    def state(self) -> ContainerState:
        ended = self.finished_at is not None
        return ContainerState(
            self.name,
            self.id,
            self.image,
            f"process://{self.image}",
            "exited" if ended else "running",
            self.attempt,
            self.started_at,
            self.finished_at,
            self.process.exit_code if ended else 0,
        )


class _Process:
    """One process, with pipes or a terminal."""

    def __init__(self, process: trio.Process, master: int | None) -> None:
        self._process = process
        self._terminal = trio.lowlevel.FdStream(master) if master is not None else None
        self._master = master

    @classmethod
    async def start(
        cls, command: Sequence[str], directory: Path, environment: Mapping[str, str], *, stdin: bool, tty: bool
    ) -> "_Process":
        """Raises RuntimeFailure in runc's words when the command doesn't exist."""
        master, slave = pty.openpty() if tty else (None, None)
        try:
            process = await trio.lowlevel.open_process(
                list(command),
                stdin=slave if tty else subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=slave if tty else subprocess.PIPE,
                stderr=slave if tty else subprocess.PIPE,
                cwd=directory,
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            if master is not None:
                os.close(master)
            reason = f'exec: "{command[0]}": executable file not found in $PATH'
            raise RuntimeFailure(
                "RunContainerError", reason if isinstance(error, FileNotFoundError) else str(error)
            ) from None
        finally:
            if slave is not None:
                os.close(slave)
        return cls(process, master)

    @property
    def exit_code(self) -> int:
        code = self._process.returncode
        return 0 if code is None else 128 - code if code < 0 else code

    async def outputs(self, take: Callable[[int, bytes], Awaitable[None]]) -> None:
        """Hand all output to `take` until the process has ended and said everything."""
        if self._terminal is not None:
            await self._read(self._terminal, STDOUT, take)
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, self._process.stdout, STDOUT, take)
                nursery.start_soon(self._read, self._process.stderr, STDERR, take)
        await self._process.wait()

    async def _read(self, stream: Any, channel: int, take: Callable[[int, bytes], Awaitable[None]]) -> None:
        with contextlib.suppress(*GONE):  # a terminal whose last user has left is an error to read
            while data := await stream.receive_some(PIECE):
                await take(channel, bytes(data))

    async def write(self, data: bytes) -> None:
        stream: Any = self._terminal or self._process.stdin
        if stream is None:
            return
        await stream.send_all(data)

    async def close_stdin(self) -> None:
        if self._terminal is not None:
            await self.write(b"\x04")
        elif self._process.stdin is not None:
            await self._process.stdin.aclose()

    def resize(self, width: int, height: int) -> None:
        if self._master is not None:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def signal(self, number: int) -> None:
        """To the process and all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    async def wait(self) -> None:
        await self._process.wait()

    async def aclose(self) -> None:
        self.signal(signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await self._process.wait()
        for stream in (self._terminal, self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with trio.CancelScope(shield=True):
                    await stream.aclose()


@define(eq=False)
class _Pod:
    directory: Path
    sandbox_id: str = ""
    containers: dict[str, _Container] = field(factory=dict)
    previous: dict[str, _Container] = field(factory=dict)


class ProcessRuntime(ContainerRuntime):
    """Use `running`, or call `run` in a nursery. `directory` is where containers' folders go."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.info = RuntimeInfo("process", "0.1.0")
        self._directory = directory
        self._clock = clock
        self._pods: dict[str, _Pod] = {}
        self._changed: Callable[[str], None] = lambda uid: None
        self._nursery: trio.Nursery | None = None
        self._ids = 0
        self._tokens: dict[str, Any] = {}
        self._port = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        socket = open_socket("127.0.0.1:0")
        self._port = socket.getsockname()[1]
        server = HTTPServer(socket, self._serve, Pulse(self._clock), Limits(), None)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(server.run, 1.0)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                server.stop()
                for pod in self._pods.values():
                    for container in (*pod.containers.values(), *pod.previous.values()):
                        await container.process.aclose()

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._changed = callback

    def _id(self, prefix: str = "process://") -> str:
        self._ids += 1
        return f"{prefix}{self._ids:08x}"

    async def observe(self, pod: Object) -> PodState:
        there = self._pods.get(pod["metadata"]["uid"])
        if there is None:
            return PodState()
        return PodState(
            there.sandbox_id,
            bool(there.sandbox_id),
            ("127.0.0.1",),
            tuple(container.state() for container in there.containers.values()),
            tuple(container.state() for container in there.previous.values()),
        )

    async def ensure_image(self, pod: Object, container: Object, secrets: Sequence[Object] = ()) -> bool:
        return False

    async def run_sandbox(self, pod: Object, attempt: int, spec: SandboxSpec | None = None) -> str:
        directory = self._directory / pod["metadata"]["uid"]
        directory.mkdir(parents=True, exist_ok=True)
        there = self._pods.setdefault(pod["metadata"]["uid"], _Pod(directory))
        there.sandbox_id = self._id("sandbox-")
        return there.sandbox_id

    async def start_container(self, spec: ContainerSpec) -> str:
        given, uid = spec.container, spec.pod["metadata"]["uid"]
        there, name = self._pods[uid], given["name"]
        command = (*spec.command, *spec.args) or (*(given.get("command") or ()), *(given.get("args") or ()))
        if not command:
            raise RuntimeFailure("CreateContainerError", "no command specified")
        directory = there.directory / name
        directory.mkdir(exist_ok=True)
        environment = {**os.environ, **dict(spec.env)}
        process = await _Process.start(
            command, directory, environment, stdin=bool(given.get("stdin")), tty=bool(given.get("tty"))
        )
        if name in there.containers:
            there.previous[name] = there.containers[name]
        now = self._clock.now()
        container = _Container(name, self._id(), given.get("image", ""), spec.attempt, process, now)
        there.containers[name] = container
        assert self._nursery is not None
        self._nursery.start_soon(self._watch, uid, container)
        return container.id

    async def _watch(self, uid: str, container: _Container) -> None:
        """Keep the output, pass it to who is attached, and note the end."""
        rest = {STDOUT: b"", STDERR: b""}

        def keep(channel: int, line: bytes) -> None:
            name = "stdout" if channel == STDOUT else "stderr"
            container.lines.append(_Line(self._clock.now(), name, line))
            container.grown.set()
            container.grown = trio.Event()

        async def take(channel: int, data: bytes) -> None:
            *lines, rest[channel] = (rest[channel] + data).split(b"\n")
            for line in lines:
                keep(channel, line + b"\n")
            for attached in list(container.attached):
                attached.put(channel, data)

        await container.process.outputs(take)
        for channel, line in rest.items():
            if line:
                keep(channel, line)
        container.finished_at = self._clock.now()
        container.ended.set()
        container.grown.set()
        for attached in list(container.attached):
            attached.put(ERROR, exit_status(container.process.exit_code))
        self._changed(uid)

    def _container(self, container_id: str) -> _Container:
        for pod in self._pods.values():
            for container in (*pod.containers.values(), *pod.previous.values()):
                if container.id == container_id:
                    return container
        raise RuntimeFailure("NotFound", f"container {container_id} not found")

    async def stop_container(self, pod: Object, container_id: str, grace: float) -> None:
        container = self._container(container_id)
        container.process.signal(signal.SIGTERM)
        with trio.move_on_after(grace):
            await container.ended.wait()
        container.process.signal(signal.SIGKILL)
        await container.ended.wait()

    async def stop_sandbox(self, pod: Object, sandbox_id: str) -> None:
        there = self._pods.get(pod["metadata"]["uid"])
        if there is not None:
            there.sandbox_id = ""

    async def remove(self, pod: Object) -> None:
        there = self._pods.pop(pod["metadata"]["uid"], None)
        for container in (*there.containers.values(), *there.previous.values()) if there is not None else ():
            await container.process.aclose()

    async def read_logs(
        self, container_id: str, options: LogOptions, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        container = self._container(container_id)
        left = options.limit_bytes
        lines = [line for line in container.lines if options.since is None or line.at >= options.since]
        if options.tail_lines is not None:
            lines = lines[max(len(lines) - options.tail_lines, 0) :]
        last = container.lines[-1] if container.lines else None
        while True:
            for line in lines:
                if options.stream not in ("All", line.stream.capitalize()):
                    continue
                data = f"{rfc3339_micro(line.at)} ".encode() + line.data if options.timestamps else line.data
                await write(data if left is None else data[:left])
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        return
            if not options.follow or (container.finished_at is not None and not lines):
                return
            if last is (container.lines[-1] if container.lines else None) and container.finished_at is None:
                await container.grown.wait()
            known = list(container.lines)
            at = next((index for index, line in enumerate(known) if line is last), -1)
            lines, last = known[at + 1 :], known[-1] if known else None

    async def exec_sync(
        self, pod: Object, container_id: str, command: Sequence[str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        found: dict[int, bytes] = {STDOUT: b"", STDERR: b""}

        async def take(channel: int, data: bytes) -> None:
            found[channel] += data

        process = await self._exec(container_id, command, Streams())
        try:
            with trio.move_on_after(timeout or float("inf")) as scope:
                await process.outputs(take)
        finally:
            await process.aclose()
        if scope.cancelled_caught:
            raise RuntimeFailure("DeadlineExceeded", f"command {command} timed out")
        return process.exit_code, found[STDOUT], found[STDERR]

    async def _exec(self, container_id: str, command: Sequence[str], streams: Streams) -> _Process:
        container = self._container(container_id)
        directory = next(
            pod.directory / container.name for pod in self._pods.values() if container in pod.containers.values()
        )
        return await _Process.start(command, directory, os.environ, stdin=streams.stdin, tty=streams.tty)

    # The streaming server

    def _url(self, kind: str, what: Any) -> str:
        token = self._id("")
        self._tokens[token] = what
        return f"http://127.0.0.1:{self._port}/{kind}/{token}"

    async def exec_url(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        return self._url("exec", (container_id, tuple(command), Streams(stdin, stdout, stderr, tty)))

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        return self._url("attach", (container_id, Streams(stdin, stdout, stderr, tty)))

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return self._url("portforward", tuple(ports))

    async def _serve(self, message: Message, connection: Connection) -> Response:
        _, kind, token = message.target.partition("?")[0].split("/")
        what = self._tokens.pop(token, None)
        if what is None:
            return text_response(404, "no such token\n")
        try:
            if kind == "portforward":
                return portforward.handshake(message.headers, message.header_lists).response(_forwarder())
            spoken = remotecommand.handshake(message.headers, message.header_lists)
            opening = self._attached(*what) if kind == "attach" else self._executed(*what)
            return spoken.response(what[-1], opening)
        except StatusError as error:
            return status_response(error)

    @asynccontextmanager
    async def _executed(self, container_id: str, command: Sequence[str], streams: Streams) -> AsyncIterator[Session]:
        try:
            process = await self._exec(container_id, command, streams)
        except RuntimeFailure as failure:
            raise StatusError(500, "InternalError", failure.message) from None
        session = _Executed(process)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.run)
                yield session
                nursery.cancel_scope.cancel()
        finally:
            await process.aclose()

    @asynccontextmanager
    async def _attached(self, container_id: str, streams: Streams) -> AsyncIterator[Session]:
        container = self._container(container_id)
        attached = _Attached(container.process)
        container.attached.add(attached)
        try:
            yield attached
        finally:
            container.attached.discard(attached)


class _Streams:
    """What exec and attach share: input goes to the process."""

    def __init__(self, process: _Process) -> None:
        self.process = process
        self._put, self._get = trio.open_memory_channel[Piece](64)

    async def receive(self) -> Piece | None:
        try:
            return await self._get.receive()
        except trio.EndOfChannel:
            return None

    async def send(self, channel: int, data: bytes) -> None:
        if channel == STDIN:
            await self.process.write(data)
        elif channel == RESIZE:
            size = orjson.loads(data)
            self.process.resize(int(size.get("Width", 80)), int(size.get("Height", 24)))

    async def close_stdin(self) -> None:
        await self.process.close_stdin()


class _Executed(_Streams):
    """A command of its own."""

    async def run(self) -> None:
        async def take(channel: int, data: bytes) -> None:
            await self._put.send((channel, data))

        await self.process.outputs(take)
        await self._put.send((ERROR, exit_status(self.process.exit_code)))


class _Attached(_Streams):
    """Somebody at a container's streams. One who reads too slowly misses output, and holds up nobody."""

    def put(self, channel: int, data: bytes) -> None:
        with contextlib.suppress(trio.WouldBlock, *GONE):
            self._put.send_nowait((channel, data))


@asynccontextmanager
async def _forwarder() -> AsyncIterator[portforward.Forwarder]:
    yield _Ports()


class _Ports:
    """The ports of 127.0.0.1."""

    @asynccontextmanager
    async def connect(self, port: int) -> AsyncIterator[Forwarded]:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            raise Unforwarded(f"failed to connect to 127.0.0.1:{port}: connection refused") from None
        async with stream:
            yield stream
