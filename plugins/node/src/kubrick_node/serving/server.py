"""The agent's HTTPS server: the same HTTP code as the API server's, with the agent's paths and its door."""

import socket as stdlib_socket
import ssl

import trio

from kubrick_api.errors import StatusError
from kubrick_http import Response
from kubrick_http.connection import Connection, Limits
from kubrick_http.listener import HTTPServer
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_http.target import split_target
from kubrick_http.writer import text_response
from kubrick_kernel import Clock, get_logger
from kubrick_node.serving.access import AgentAccess
from kubrick_node.serving.paths import AgentPaths

DRAIN_SECONDS = 2.0
log = get_logger("node.server")


class AgentServer:
    """Serves an open `socket`. `context` holds the agent's certificate and asks clients for one."""

    def __init__(
        self,
        socket: stdlib_socket.socket,
        context: ssl.SSLContext | None,
        access: AgentAccess,
        paths: AgentPaths,
        clock: Clock,
    ) -> None:
        self._socket = socket
        self._context = context
        self._access = access
        self._paths = paths
        self._clock = clock

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        server = HTTPServer(self._socket, self._serve, Pulse(self._clock), Limits(), self._context)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run, DRAIN_SECONDS)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                server.stop()

    async def _serve(self, message: Message, connection: Connection) -> Response:
        try:
            path = split_target(message.target)[0]
            await self._access.check(
                connection.certificate, message.headers.get("authorization", ""), message.method, path
            )
            return await self._paths(message.method, message.target, message.headers, message.header_lists)
        except ValueError as error:
            return text_response(400, f"malformed request target: {error}\n")
        except StatusError as error:
            # In plain text, as the kubelet: the API server passes the text on.
            return text_response(error.code, error.message)
        except Exception as error:
            log.error("a request failed", method=message.method, exc_info=error)
            return text_response(500, f"{type(error).__name__}: see the agent's log")
