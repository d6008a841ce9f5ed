"""The process that writes, as the main process sees it: started, asked, waited for, replaced.

Its program is `pen`. Nothing here waits by trio's clock, which may be a virtual one: the child itself
says when it has waited too long for its lock, and its end is awaited in a thread.
"""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import trio

from kubrick_kernel.store import StoreError
from kubrick_store_sqlite import pen

PROGRAM = Path(pen.__file__)
LOCK = "writer.lock"
PATIENCE = 10.0
"""Seconds the child may take to end once it is hung up on."""


class Child:
    """At most one process at a time, and the line to it."""

    def __init__(self, file: Path, synchronous: str) -> None:
        libraries = Path(apsw.__file__).parent.parent
        self._file = file
        self._command = [sys.executable, "-I", "-S", str(PROGRAM), str(libraries)]
        self._command += [str(file.absolute()), synchronous, str(file.absolute().with_name(LOCK))]
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._unsent = bytearray()
        self._more = trio.Event()
        self._inbox = pen.Inbox()

    @property
    def pid(self) -> int:
        """Raises StoreError when no process has been started or it has been seen to its end."""
        if self._process is None:
            raise StoreError(f"store {self._file}: no process writes to it")
        return self._process.pid

    async def start(self) -> None:
        """Start the process, which takes a while until `locked` and `opened`. Raises StoreError."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._line = ours
            ours.setblocking(False)
            self._unsent.clear()
            self._inbox = pen.Inbox()
            try:
                self._process = await trio.to_thread.run_sync(self._spawn, theirs)
            except OSError as error:
                raise self._not_started(str(error)) from error

    async def locked(self) -> None:
        """Wait until what a process of before wrote is all there, and this one alone writes; it opens the
        file, which has its tables by now. Raises StoreError."""
        await self._told()
        self._send(pen.GO)

    async def opened(self) -> int:
        """Wait until it has the file open; the length of the write-ahead log. Raises StoreError."""
        return await self._told()

    def ask(self, verb: str, argument: Any) -> None:
        """Send a request. If the process is gone by now, `receive` will say so."""
        self._send(*pen.framed((verb, argument)))

    async def send_rest(self) -> None:
        """Send what didn't fit into the socket at once, for ever or until the line is cut."""
        while True:
            await self._more.wait()
            while self._unsent:
                if self._line is None:
                    return
                try:
                    await trio.lowlevel.wait_writable(self._line)
                    del self._unsent[: self._line.send(self._unsent)]
                except BlockingIOError:
                    continue
                except (OSError, trio.ClosedResourceError):
                    return
            self._more = trio.Event()

    async def receive(self) -> pen.Answer | None:
        """The next answer; None if there won't be any more from this process."""
        while True:
            answer: pen.Answer | None = self._inbox.take()
            if answer is not None:
                return answer
            if self._line is None:
                return None
            try:
                await trio.lowlevel.wait_readable(self._line)
                size = self._line.recv_into(self._inbox.room())
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError):
                return None
            if not size:
                return None
            self._inbox.add(size)

    def hang_up(self) -> None:
        """The process finishes what it does, and ends."""
        line, self._line = self._line, None
        if line is not None:
            trio.lowlevel.notify_closing(line)
            line.close()

    async def end(self) -> int | None:
        """Hang up and wait until the process is gone; killed, should it not go. Its exit status, if
        one was running. Not to be cancelled."""
        self.hang_up()
        process, self._process = self._process, None
        if process is None:
            return None
        return await trio.to_thread.run_sync(_wait, process)

    def _spawn(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        # In a session of its own: Ctrl-C in a terminal must not reach it.
        return subprocess.Popen(  # noqa: S603 - the command is ours
            self._command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True
        )

    def _send(self, *parts: bytes) -> None:
        sent = 0
        if not self._unsent and self._line is not None:
            try:
                sent = self._line.sendmsg(parts)
            except BlockingIOError:
                pass
            except OSError:
                return
        if sent < sum(map(len, parts)):
            self._unsent += b"".join(parts)[sent:]
            self._more.set()

    async def _told(self) -> int:
        answer = await self.receive()
        if answer is None:
            with trio.CancelScope(shield=True):
                status = await self.end()
            raise self._not_started(f"it ended with status {status}: {' '.join(self._command)}")
        error, pages = answer
        if error is not None:
            raise self._not_started(error)
        return pages

    def _not_started(self, reason: str) -> StoreError:
        return StoreError(f"store {self._file}: the process that writes to it could not begin: {reason}")


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
