"""Small GETs per second over TLS, with all filters: authentication by certificate, authorization, metrics.

    .venv/bin/python tests/bench/serving_get.py [--seconds S] [--connections N]

The server is a process of its own (profile api, memory store); the client is this one, on N (8)
connections, each with one request under way. The client costs as much as the server, so on a small
machine the server's CPU time per request tells more than requests per second do.
"""

import argparse
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trio

from kubrick_kernel import Composition, Kernel

PATHS = ("/version", "/api/v1/namespaces/default")
HEADERS = "Host: localhost\r\nUser-Agent: bench\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\r\n"


async def serve(data_dir: Path) -> None:
    composition = Composition(profile="api", store="memory", plugins={"apiserver": {"listen": "127.0.0.1:0"}})
    kernel = Kernel(composition, data_dir=data_dir)
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        print(kernel.announcements["server"].rpartition(":")[2], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        kernel.shutdown()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def connect(port: int, data_dir: Path) -> ssl.SSLSocket:
    pki = data_dir / "pki"
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname="localhost")


def measure(path: str, connections: list[ssl.SSLSocket], seconds: float) -> int:
    """How many requests were answered."""
    request = f"GET {path} HTTP/1.1\r\n{HEADERS}".encode()
    connections[0].sendall(request)
    size = len(connections[0].recv(65536))
    answered = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            received = 0
            while received < size:
                received += len(connection.recv(65536))
            answered += 1
    return answered


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        trio.run(serve, options.serve)
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, "--serve", directory]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            port = int(server.stdout.readline())
            connections = [connect(port, Path(directory)) for _ in range(options.connections)]
            for path in PATHS:
                measure(path, connections, 0.3)
                before = cpu_seconds(server.pid)
                answered = measure(path, connections, options.seconds)
                cost = (cpu_seconds(server.pid) - before) / answered
                print(
                    f"GET {path}: {answered / options.seconds:,.0f}/s with {options.connections} connections; "
                    f"{cost * 1e6:.0f} µs of the server's CPU each, so at most {1 / cost:,.0f}/s on one core"
                )
            for connection in connections:
                connection.close()
            server.stdin.close()


if __name__ == "__main__":
    main()
