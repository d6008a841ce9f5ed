"""The program of the process that writes: a pen, dipped by the main process over a socket.

Run as a file by an interpreter that knows no site-packages, it imports only the standard library and
apsw: it is there in milliseconds, takes some megabytes, and shares no interpreter lock with anybody.
Requests are answered in order; each is a verb and its argument, each answer an error's text or None
and the length of the write-ahead log. While no request waits, the pen sweeps, in short steps.

It ends when the other side hangs up, by nothing else. For its whole life it holds a lock, so that
whoever comes after a main process that was killed waits until its pen has finished.
"""

import sys

if __name__ == "__main__":
    sys.path.append(sys.argv[1])  # where apsw is

import fcntl
import marshal
import os
import select
import signal
import time

import apsw

TYPE_CHECKING = False  # typing's own takes some of those milliseconds
if TYPE_CHECKING:
    from typing import Any

Parameters = list[int | bytes | float | None]
Answer = tuple[str | None, int]

SHIFT = 20
"""Bits of a log id below the revision: a commit has at most 2**20 changes."""
COLUMNS = 6
STATEMENT_ROWS = 64
"""Rows per INSERT: each size is a statement of its own, prepared once."""
PATIENCE = 10.0
"""Seconds to wait for the lock of a pen that has not finished yet."""
STEP = 0.002
"""Seconds a step of the sweep should take."""
LINE = 0
"""The socket, as standard input."""
GO = b"!"
CHUNK = 1 << 18
LENGTH = 4
FRAME = 4096 + 24
"""Bytes of a page in the write-ahead log."""


def framed(message: "tuple[Any, ...]") -> tuple[bytes, bytes]:
    """A message as it goes over the line: its length, then itself."""
    body = marshal.dumps(message)
    return len(body).to_bytes(LENGTH, "little"), body


class Inbox:
    """What has come over the line, in a buffer that is used again and again: a fresh one for each group
    would cost more than reading it does."""

    def __init__(self) -> None:
        self._buffer = bytearray(CHUNK)
        self._filled = 0

    def room(self) -> memoryview:
        """Where to read to."""
        return memoryview(self._buffer)[self._filled :]

    def add(self, size: int) -> None:
        """So much has been read there."""
        self._filled += size

    def take(self) -> "Any":
        """The first message, which is removed; None if it isn't whole yet."""
        buffer, filled = self._buffer, self._filled
        end = LENGTH + int.from_bytes(buffer[:LENGTH], "little")
        if filled < LENGTH:
            return None
        if filled < end:
            if len(buffer) < end:
                self._buffer = bytearray(end)
                self._buffer[:filled] = buffer[:filled]
            return None
        message = marshal.loads(memoryview(buffer)[LENGTH:end])  # noqa: S302 - from the other end of our socket
        rest = buffer[end:filled]
        if len(buffer) > CHUNK:
            self._buffer = bytearray(max(CHUNK, len(rest)))
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)
        return message


def connect(file: str, synchronous: str) -> apsw.Connection:
    connection = apsw.Connection(file, statementcachesize=2 * STATEMENT_ROWS)
    connection.set_busy_timeout(10_000)
    connection.pragma("synchronous", synchronous)
    connection.pragma("journal_mode", "wal")
    connection.wal_autocheckpoint(0)
    return connection


def meta(connection: apsw.Connection, name: str) -> int:
    value: int = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).get
    return value


def insert(rows: int) -> str:
    return "INSERT INTO log VALUES " + ",".join(["(?,?,?,?,?,?)"] * rows)  # noqa: S608 - marks for parameters


class Pen:
    """The writing connection, and how far the sweep has come."""

    def __init__(self, file: str, synchronous: str) -> None:
        wal = f"{file}-wal"
        # What is in the log already, or was: rather a checkpoint too early than a log twice as long.
        self._wal_begin = -(os.path.getsize(wal) // FRAME) if os.path.exists(wal) else 0
        self._connection = connect(file, synchronous)
        self._swept, self._line = meta(self._connection, "swept"), meta(self._connection, "compacted")
        self._stride = 64
        self.wal_pages = 0
        """How many pages have been written to the write-ahead log since it last began anew."""
        self._count_pages()

    @property
    def sweeping(self) -> bool:
        return self._swept < self._line

    def append(self, parameters: Parameters) -> None:
        """Add rows to the log, durably and all or none. `parameters` are the columns of one row after
        the other: id, key, created, previous, expires, value."""
        size = COLUMNS * STATEMENT_ROWS
        if len(parameters) <= size:
            self._connection.execute(insert(len(parameters) // COLUMNS), parameters)
        else:
            with self._connection:
                for begin in range(0, len(parameters), size):
                    chunk = parameters[begin : begin + size]
                    self._connection.execute(insert(len(chunk) // COLUMNS), chunk)
        self._count_pages()

    def draw_line(self, compacted: int) -> None:
        """From now on everything before revision `compacted` may be swept."""
        self._connection.execute("UPDATE meta SET value = ? WHERE name = 'compacted'", (compacted,))
        self._line = max(self._line, compacted)

    def finish_checkpoint(self, _: None) -> None:
        """Copy the last pages of the write-ahead log: where none is left, the next commit begins it anew."""
        pages, done = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if pages == done:
            self._wal_begin += self.wal_pages
            self.wal_pages = 0

    def sweep(self) -> None:
        """One step towards the line, as long as it has been found to take about `STEP`."""
        until = min(self._line, self._swept + self._stride)
        begin = time.perf_counter()
        try:
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'swept'", (until,))
        except apsw.Error:
            self._line = self._swept  # a full disk, say; the next compaction begins here again
            return
        self._count_pages()
        self._swept = until
        if time.perf_counter() - begin > STEP:
            self._stride = max(self._stride // 2, 1)
        else:
            self._stride = min(self._stride * 2, 1024)

    def answer(self, request: "tuple[str, Any]") -> Answer:
        verb, argument = request
        try:
            getattr(self, verb)(argument)
        except Exception as error:  # whatever it is: nobody may wait for ever
            return str(error) or repr(error), self.wal_pages
        return None, self.wal_pages

    def _count_pages(self) -> None:
        self.wal_pages = self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0] - self._wal_begin


def lock(file: str) -> None:
    """Hold `file` until this process ends. Raises TimeoutError naming the process that has it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.perf_counter() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            pass
        if time.perf_counter() > end:
            owner = os.read(descriptor, 20).decode() or "unknown"
            raise TimeoutError(f"process {owner} still writes to it after {PATIENCE:.0f} s; end that one first")
        if select.select([LINE], [], [], 0.005)[0]:
            raise BrokenPipeError  # nothing is said to us before we have the lock: that was the end
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def begin(file: str, synchronous: str, lock_file: str) -> Pen | None:
    """Say that the lock is ours, and that the file is open when it could be; until the other side
    says so it may not have its tables. None if either can't be had."""
    try:
        lock(lock_file)
        os.writev(LINE, framed((None, 0)))
        if not os.read(LINE, len(GO)):
            return None
        pen = Pen(file, synchronous)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        os.writev(LINE, framed((str(error) or repr(error), 0)))
        return None
    os.writev(LINE, framed((None, pen.wal_pages)))
    return pen


def serve(pen: Pen) -> None:
    """Do what is asked until the other side hangs up, and sweep meanwhile."""
    inbox = Inbox()
    while True:
        request = inbox.take()
        if request is not None:
            os.writev(LINE, framed(pen.answer(request)))
        elif pen.sweeping and not select.select([LINE], [], [], 0)[0]:
            pen.sweep()
        else:
            size = os.readv(LINE, [inbox.room()])
            if not size:
                return
            inbox.add(size)


def main(file: str, synchronous: str, lock_file: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        pen = begin(file, synchronous, lock_file)
        if pen is not None:
            serve(pen)
    except (BrokenPipeError, ConnectionResetError):
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    # Closing the database as the last who has it open would copy the whole log first, while somebody
    # waits for the lock. Who comes next decides when to do that.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[2:])
