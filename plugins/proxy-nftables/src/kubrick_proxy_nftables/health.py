"""What the proxy says about itself over HTTP: /healthz, /metrics, and a health check per node port that
load balancers ask, so that they send traffic only to nodes with endpoints of their own."""

import re
from collections.abc import Callable, Mapping
from functools import partial

import orjson
import trio
from attrs import frozen

from kubrick_http import Response
from kubrick_http.connection import Connection, Limits
from kubrick_http.listener import HTTPServer, open_socket
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_http.writer import text_response
from kubrick_kernel import Clock, ConfigurationError, get_logger, rfc3339_micro

log = get_logger("proxy")
WHO = "proxy-nftables"
STALE_AFTER = 60.0
"""A change that isn't in the kernel after this long makes the node unhealthy."""
LIMITS = Limits(max_body=4096, head=5.0, body=5.0, idle=30.0, write=5.0)
DRAIN = 0.5
Answer = Callable[[str], Response]


@frozen
class HealthCheck:
    """One service's answer: how many of its endpoints are on this node."""

    namespace: str
    service: str
    endpoints: int

    def response(self, *, healthy: bool) -> Response:
        service = {"namespace": self.namespace, "name": self.service}
        body = {"service": service, "localEndpoints": self.endpoints, "serviceProxyHealthy": healthy}
        headers = [
            ("X-Content-Type-Options", "nosniff"),
            ("X-Load-Balancing-Endpoint-Weight", str(self.endpoints)),
        ]
        status = 200 if self.endpoints and healthy else 503
        return Response(status, body=orjson.dumps(body, option=orjson.OPT_INDENT_2), headers=headers)


class Health:
    """Whether changes reach the kernel. `pending_since` is trio's time of the oldest that hasn't, or None."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.pending_since: float | None = None
        self.last_updated = clock.now()
        self.eligible = True
        self._settled = trio.Event()

    def queued(self) -> None:
        if self.pending_since is None:
            self.pending_since = trio.current_time()

    async def settled(self) -> None:
        """Returns when nothing is pending."""
        while self.pending_since is not None:
            await self._settled.wait()

    def synced(self) -> None:
        self.pending_since = None
        self.last_updated = self._clock.now()
        self._settled.set()
        self._settled = trio.Event()

    @property
    def healthy(self) -> bool:
        return self.pending_since is None or trio.current_time() - self.pending_since < STALE_AFTER

    def response(self, path: str) -> Response:
        """/livez asks whether the proxy works; /healthz also whether this node should get traffic at all."""
        now = self._clock.now()
        body = {
            "lastUpdated": rfc3339_micro(now if self.pending_since is None else self.last_updated),
            "currentTime": rfc3339_micro(now),
            "nodeEligible": self.eligible,
        }
        good = self.healthy and (self.eligible or path == "/livez")
        return Response(200 if good else 503, body=orjson.dumps(body))


def routes(health: Health) -> Answer:
    def answer(path: str) -> Response:
        return health.response(path) if path in ("/healthz", "/livez") else text_response(404, "404 page not found\n")

    return answer


def metrics_routes(metrics: object) -> Answer:
    def answer(path: str) -> Response:
        if path == "/metrics":
            from prometheus_client import CollectorRegistry, generate_latest

            registry = CollectorRegistry()
            registry.register(metrics)  # type: ignore[arg-type]  # has collect()
            return Response(200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(registry))
        if path == "/proxyMode":
            return text_response(200, "nftables")
        return text_response(200, "ok") if path == "/healthz" else text_response(404, "404 page not found\n")

    return answer


async def serve(
    listen: str, answer: Answer, clock: Clock, option: str, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer on `listen` until cancelled; started with the port. Raises ConfigurationError if it can't be had."""

    async def handle(message: Message, connection: Connection) -> Response:
        return answer(message.target.partition("?")[0])

    socket = open_socket(listen, WHO, option)
    server = HTTPServer(socket, handle, Pulse(clock), LIMITS, None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, DRAIN)
        task_status.started(socket.getsockname()[1])
        try:
            await trio.sleep_forever()
        finally:
            server.stop()


class HealthChecks:
    """The servers of all health check node ports. A port that can't be had is said and tried again with the
    next change."""

    def __init__(self, address: str, health: Health, clock: Clock, nursery: trio.Nursery) -> None:
        self._address = f"[{address}]" if re.search(":", address) else address
        self._health = health
        self._clock = clock
        self._nursery = nursery
        self._running: dict[int, trio.CancelScope] = {}
        self.checks: Mapping[int, HealthCheck] = {}

    def update(self, checks: Mapping[int, HealthCheck]) -> None:
        """From now on these are served, and no others."""
        self.checks = checks
        for port in self._running.keys() - checks.keys():
            self._running.pop(port).cancel()
        for port in checks.keys() - self._running.keys():
            self._running[port] = trio.CancelScope()
            self._nursery.start_soon(self._serve, port, self._running[port])

    async def _serve(self, port: int, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await serve(f"{self._address}:{port}", partial(self._answer, port), self._clock, "health_check_address")
        except* ConfigurationError as errors:
            log.warning("no health check", port=port, reason=str(errors.exceptions[0]))
            if self._running.get(port) is scope:
                del self._running[port]

    def _answer(self, port: int, path: str) -> Response:
        check = self.checks.get(port)
        return check.response(healthy=self._health.healthy) if check else text_response(404, "404 page not found\n")
