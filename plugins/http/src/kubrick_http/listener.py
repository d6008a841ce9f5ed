"""Listening sockets and the connections they bring; draining them in the end.

The port is opened first and served later: the objects that name it are written in between.
"""

import errno
import socket as stdlib_socket
import ssl

import trio

from kubrick_http.connection import Connection, Limits, Serve
from kubrick_http.pulse import Pulse
from kubrick_http.streams import HANDSHAKE_TIMEOUT, Outbox, SocketStream, TLSStream
from kubrick_kernel import ConfigurationError
from kubrick_kernel.log import get_logger

BACKLOG = 1024
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)

log = get_logger("http")


def split_address(listen: str, who: str = "apiserver") -> tuple[str, int]:
    """ "127.0.0.1:6443", "[::1]:6443" → host, port. Raises ConfigurationError in the name of plugin `who`."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"{who}: listen is {listen!r}; it must be HOST:PORT, such as 127.0.0.1:6443")
    return host, int(port)


def open_socket(listen: str, who: str = "apiserver", option: str = "--listen HOST:PORT") -> stdlib_socket.socket:
    """A non-blocking listening socket. Raises ConfigurationError, in the name of plugin `who` and its
    `option`, when the address can't be had."""
    host, port = split_address(listen, who)
    family = stdlib_socket.AF_INET6 if ":" in host else stdlib_socket.AF_INET
    socket = stdlib_socket.socket(family, stdlib_socket.SOCK_STREAM)
    try:
        socket.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEADDR, 1)
        socket.bind((host, port))
        socket.listen(BACKLOG)
    except (OSError, TypeError, UnicodeError) as error:  # the latter two: no host is called that
        socket.close()
        raise ConfigurationError(_cannot_listen(listen, error, who, option)) from error
    socket.setblocking(False)
    return socket


def _cannot_listen(listen: str, error: Exception, who: str, option: str) -> str:
    if not isinstance(error, OSError):
        what = f"no such address: choose one with {option}"
    elif error.errno == errno.EADDRINUSE:
        what = f"another program is using this port: stop it, or choose another with {option}"
    elif error.errno == errno.EADDRNOTAVAIL or isinstance(error, stdlib_socket.gaierror):
        what = f"no such address on this machine: choose one with {option}"
    elif error.errno == errno.EACCES:
        what = f"ports below 1024 need root: choose a higher one with {option}"
    else:
        what = f"{error.strerror}: choose another address with {option}"
    return f"{who}: cannot listen on {listen}: {what}"


class HTTPServer:
    """Serves one listening socket, over TLS when there is a `context`."""

    def __init__(
        self, socket: stdlib_socket.socket, serve: Serve, pulse: Pulse, limits: Limits, context: ssl.SSLContext | None
    ) -> None:
        self._socket = socket
        self._serve = serve
        self._pulse = pulse
        self._limits = limits
        self._context = context
        self._connections: set[Connection] = set()
        self._stop = trio.Event()
        self._outbox = Outbox()
        self.draining = False

    def stop(self) -> None:
        """Begin draining."""
        self.draining = True
        self._stop.set()

    async def run(self, drain_timeout: float) -> None:
        """Until `stop`, and then until all connections have ended or `drain_timeout` seconds went by.
        Shielded from cancellation: draining is what cancellation is answered with."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pulse.run)
                nursery.start_soon(self._outbox.run)
                async with trio.open_nursery() as connections:
                    accepting = trio.CancelScope()
                    connections.start_soon(self._accept, connections, accepting)
                    await self._stop.wait()
                    accepting.cancel()
                    for connection in list(self._connections):
                        connection.drain()
                    connections.cancel_scope.deadline = trio.current_time() + drain_timeout
                nursery.cancel_scope.cancel()

    async def _accept(self, connections: trio.Nursery, scope: trio.CancelScope) -> None:
        with scope, self._socket:
            while True:
                try:
                    client, address = self._socket.accept()
                except BlockingIOError:
                    await trio.lowlevel.wait_readable(self._socket)
                    continue
                except OSError as error:
                    if error.errno in OUT_OF_FILES:
                        log.warning("cannot accept connections for now", reason=error.strerror)
                        await trio.sleep(0.1)
                    continue
                client.setblocking(False)
                client.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
                connections.start_soon(self._run_connection, client, address[0] if address else "")
                await trio.lowlevel.checkpoint()
        trio.lowlevel.notify_closing(self._socket)

    async def _run_connection(self, client: stdlib_socket.socket, peer: str) -> None:
        plain = SocketStream(client, self._outbox)
        if self._context is None:
            await self._serve_stream(Connection(plain, self._serve, self._pulse, self._limits, peer=peer))
            return
        stream = TLSStream(plain, self._context)
        greeted = False
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT):
                await stream.handshake()
                greeted = True
        except trio.BrokenResourceError as error:
            log.debug("no TLS connection", reason=str(error))
        finally:
            if not greeted:
                await plain.aclose()
        if greeted:
            connection = Connection(stream, self._serve, self._pulse, self._limits, stream.certificate, peer)
            await self._serve_stream(connection)

    async def _serve_stream(self, connection: Connection) -> None:
        if self.draining:
            connection.drain()
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
