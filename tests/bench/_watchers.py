"""A thousand watchers of one namespace, in a process of their own; it says how late each event was.

    python tests/bench/_watchers.py HOST:PORT CA TOKEN PATH WATCHERS FRAMES

Prints "watching" when all are there and, once each has had FRAMES events, a line of JSON. An event carries
when it was asked for (``"sent":"<seconds of the monotonic clock>"``); every tenth watcher looks at that,
the others count.
"""

import json
import re
import select
import socket
import ssl
import sys
import time

SENT = re.compile(rb'"sent":"([0-9.]+)"')
PATIENCE = 10.0
RECORD = 16384
"""TLS hands out no more at once. (This process must not be slower than the one it measures.)"""


class Watcher:
    """One connection. `frames` is how many events it has had."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, request: bytes, *, looks: bool) -> None:
        plain = socket.create_connection(address)
        self.stream = context.wrap_socket(plain, server_hostname="localhost")
        self.stream.sendall(request)
        self.frames = 0
        self.delays: list[float] = []
        self._looks = looks
        self._tail = b""

    def read(self) -> bool:
        """Take what is there; False at the end."""
        while True:
            try:
                data = self.stream.recv(RECORD)
            except ssl.SSLWantReadError:
                return True
            if not data:
                return False
            # A frame ends in a newline, each chunk has two more, after a return; JSON itself has neither.
            self.frames += data.count(b"\n") - data.count(b"\r")
            if self._looks:
                self._look(data)
            if not self.stream.pending():
                return True  # what is yet to be decrypted is told of again

    def _look(self, data: bytes) -> None:
        now = time.perf_counter()
        data = self._tail + data
        end = 0
        for match in SENT.finditer(data):
            self.delays.append(now - float(match[1]))
            end = match.end()
        self._tail = data[max(end, len(data) - 40) :]


def main() -> None:
    address, ca, token, path, count, frames = sys.argv[1:]
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    request = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    watchers = [Watcher((host, int(port)), context, request, looks=not n % 10) for n in range(int(count))]
    poll = select.epoll()
    by_number = {}
    for watcher in watchers:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += watcher.stream.recv(1)
        if b" 200 " not in head:
            sys.exit(head.decode())
        watcher.stream.setblocking(False)
        by_number[watcher.stream.fileno()] = watcher
        poll.register(watcher.stream, select.EPOLLIN)
    print("watching", flush=True)
    wanted = int(frames)
    quiet = time.perf_counter()
    while any(watcher.frames < wanted for watcher in by_number.values()) and time.perf_counter() < quiet + PATIENCE:
        until = time.perf_counter() + 0.2  # to ask them all costs something
        while time.perf_counter() < until:
            for number, _ in poll.poll(0.1):
                quiet = time.perf_counter()
                if not by_number[number].read():
                    poll.unregister(number)
                    del by_number[number]
    delays = sorted(delay for watcher in watchers for delay in watcher.delays)
    print(
        json.dumps(
            {
                "complete": sum(watcher.frames == wanted for watcher in watchers),
                "p50": delays[len(delays) // 2] * 1000,
                "p99": delays[len(delays) * 99 // 100] * 1000,
                "worst": delays[-1] * 1000,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
