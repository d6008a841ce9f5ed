"""A terminal with a person at it: a program runs on a pseudo-terminal, keys are pressed, the screen is read."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Sequence
from types import TracebackType

from kubrick_kernel import SystemClock

SECONDS = 60.0
INTERRUPT = "\x03"
clock = SystemClock()


class Terminal:
    """A program (its session's leader) on a screen of so many rows and columns. Killed, if it still runs, on exit."""

    def __init__(self, command: Sequence[str], rows: int = 24, columns: int = 80) -> None:
        self._keys, screen = pty.openpty()
        self.seen = ""
        self.resize(rows, columns)
        self._process = subprocess.Popen(
            command,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(screen)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._keys)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._keys, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def until(self, pattern: str, seconds: float = SECONDS) -> str:
        """The text that matches, once it has appeared; it and what stands before are not looked at again."""
        end = clock.timestamp() + seconds
        while (found := re.search(pattern, self.seen)) is None:
            left = end - clock.timestamp()
            assert left > 0, f"{pattern!r} did not appear: {self.seen!r}"
            assert self._read(left), f"the program ended before {pattern!r} appeared: {self.seen!r}"
        self.seen = self.seen[found.end() :]
        return found.group()

    def ended(self, seconds: float = SECONDS) -> int:
        """Its exit code, when it has ended; what it showed until then is in `seen`."""
        end = clock.timestamp() + seconds
        while (left := end - clock.timestamp()) > 0:
            if not self._read(left):
                return self._process.wait(seconds)
        raise AssertionError(f"it did not end: {self.seen!r}")

    def _read(self, seconds: float) -> bool:
        """Look for more; False when nobody has the terminal open any more."""
        if select.select([self._keys], [], [], seconds)[0]:
            try:
                data = os.read(self._keys, 65536)
            except OSError:  # EIO: the last one has closed it
                return False
            self.seen += data.decode(errors="replace")
        return True
