"""What every HTTP request passes before its handler, in Kubernetes' order.

Request info, deadline, recovery from bugs, authentication, impersonation, requests in flight,
authorization, handler; on the way back warnings and cache headers, compression, metrics. It is one
function and not a chain of closures because it runs 10,000 times a second.
"""

import re
import zlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from typing import Protocol, TypeVar

import trio
from attrs import evolve, frozen

from kubrick_api.errors import StatusError, bad_request, internal
from kubrick_apiserver.access import MASTERS, AccessControl
from kubrick_apiserver.auth import Credentials
from kubrick_apiserver.authentication import Authentication, impersonate, is_impersonating
from kubrick_apiserver.flow import FlowControl, Ticket
from kubrick_apiserver.journal import Journal
from kubrick_apiserver.metrics import RequestMetrics
from kubrick_apiserver.refusal import Refuse
from kubrick_apiserver.request_info import is_long_running, is_true, parse_target
from kubrick_apiserver.web import Handler, Request, Response, Upgrade
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_http.writer import status_response, text_response
from kubrick_kernel.log import get_logger

GZIP_THRESHOLD = 128 * 1024
GZIP_LEVEL = 1
GZIP_IN_THREAD = 1024 * 1024
"""Larger bodies are compressed in a thread: it takes 10 ms per MB."""
MUTATING = frozenset(("create", "update", "patch", "delete", "deletecollection"))
INTERACTIVE = frozenset(("exec", "attach", "portforward"))
PATIENCE = 0.25
"""The part of its time that a request may wait for its turn."""
BUSY = "Too many requests, please try again later."
CACHE_CONTROL = ("Cache-Control", "no-cache, private")
DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|m|s|ms|us|µs|ns)")
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

T = TypeVar("T")
log = get_logger("apiserver")


class Timing(Protocol):
    """The connection a request came on."""

    certificate: bytes | None
    peer: str
    deadline: float
    pulse: Pulse


@frozen
class Restrictions:
    """How much at once, how long, and what is said of it."""

    max_reading: int = 400
    max_mutating: int = 200
    timeout: float = 60.0
    log: str = "debug"
    """At which level to log requests."""


class Filters:
    """The way from a parsed message to a response. Never raises, but for cancellation."""

    def __init__(
        self,
        handler: Handler,
        authentication: Authentication,
        control: AccessControl,
        metrics: RequestMetrics,
        restrictions: Restrictions,
        seed: int,
        refuse: Refuse,
        flow: FlowControl | None = None,
    ) -> None:
        self._handler = handler
        self._authentication = authentication
        self._control = control
        self._metrics = metrics
        self._restrictions = restrictions
        self._refuse = refuse
        self._flow = flow
        self._journal = Journal(restrictions.log)
        self._reading = 0
        self._mutating = 0
        self._count = 0
        high = f"{seed & (1 << 80) - 1:020x}"
        self._audit_prefix = f"{high[:8]}-{high[8:12]}-4{high[12:15]}-a{high[15:18]}-"

    async def __call__(self, message: Message, connection: Timing) -> Response:
        """The answer to one request."""
        headers = message.headers
        audit_id = headers.get("audit-id")
        if audit_id is None:
            self._count += 1
            audit_id = f"{self._audit_prefix}{self._count & 0xFFFFFFFFFFFF:012x}"
        try:
            path, query, lists, info = parse_target(message.method, message.target)
        except ValueError as error:
            return status_response(bad_request(f"malformed request target: {error}"))
        request = Request(message.method, path, query, headers, message.body, info)
        request.query_lists, request.header_lists, request.audit_id = lists, message.header_lists, audit_id
        request.target = message.target
        start = trio.current_time()
        try:
            if is_long_running(info):
                response = await self._answer(request, connection, start, inf)
            else:
                timeout = self._restrictions.timeout
                if "timeout" in query:
                    timeout = min(parse_timeout(query["timeout"]), timeout)
                connection.deadline = connection.pulse.now + timeout
                response = await self._answer(request, connection, start, timeout)
                if message.method == "GET" and "accept-encoding" in headers:
                    response = await compressed(response, headers["accept-encoding"])
        except StatusError as error:
            response = self._refuse(error, headers)
        except trio.Cancelled:
            self._over(request, 504, start, connection)
            self._metrics.observe(request, 504, trio.current_time() - start, 0)
            raise
        except Exception as error:
            log.error("a request failed", method=message.method, path=path, audit_id=audit_id, exc_info=error)
            refusal = internal(f"{type(error).__name__} (see the server's log, Audit-Id {audit_id})")
            response = self._refuse(refusal, headers)
        response.headers += (("Audit-Id", audit_id), CACHE_CONTROL)
        if request.ticket is not None:
            response.headers += request.ticket.headers
        self._observe(request, response, start, connection)
        return response

    async def _answer(self, request: Request, connection: Timing, start: float, timeout: float) -> Response:
        """`timeout` is infinite for what may take as long as it likes."""
        headers = request.headers
        credentials = Credentials(headers.get("authorization", ""), connection.certificate, headers)
        request.user = await self._authentication.identify(credentials)
        if is_impersonating(headers):
            request.asker = request.user.name
            impersonate(request, self._control)
        if timeout == inf:
            return await self._answer_long(request)
        mutating = request.info.verb in MUTATING
        ticket = None
        if self._flow is None:
            restrictions = self._restrictions
            busy = (
                self._mutating >= restrictions.max_mutating if mutating else self._reading >= restrictions.max_reading
            )
            if busy and MASTERS not in request.user.groups:
                return too_many()
        else:
            ticket = request.ticket = self._flow.enter(request, start)
            if not ticket.is_running and not await ticket.wait(timeout * PATIENCE):
                return too_many()
        if mutating:
            self._mutating += 1
        else:
            self._reading += 1
        try:
            self._control.check_request(request.info, request.user)
            return await self._handler(request)
        finally:
            if mutating:
                self._mutating -= 1
            else:
                self._reading -= 1
            if ticket is not None:
                ticket.leave(trio.current_time())

    async def _answer_long(self, request: Request) -> Response:
        """Only watches are kept in check, and only until they are under way."""
        info, flow = request.info, self._flow
        if flow is None or info.verb != "watch":
            return await self._answer_unchecked(request)
        ticket = request.ticket = flow.enter(request, trio.current_time())
        if not ticket.is_running and not await ticket.wait(self._restrictions.timeout * PATIENCE):
            return too_many()
        streamed = False
        try:
            response = await self._answer_unchecked(request)
            streamed = request.method != "HEAD" and not isinstance(response.body, bytes | list)
            return response
        finally:
            if not streamed:
                ticket.leave(trio.current_time())

    async def _answer_unchecked(self, request: Request) -> Response:
        info = request.info
        self._control.check_request(info, request.user)
        if info.verb == "get" and info.subresource in INTERACTIVE:
            # A WebSocket is always a GET, and reading is not what it does.
            self._control.check_request(evolve(info, verb="create"), request.user)
        return await self._handler(request)

    @property
    def in_flight(self) -> dict[str, int]:
        """Requests being answered now, as apiserver_current_inflight_requests counts them."""
        return {"mutating": self._mutating, "readOnly": self._reading}

    def _over(self, request: Request, code: int, start: float, connection: Timing) -> None:
        """Write it down, if anybody wants to know."""
        if self._journal.open:
            asker = request.asker or request.user.name
            self._journal.enter(request, asker, connection.peer, code, trio.current_time() - start)

    def _observe(self, request: Request, response: Response, start: float, connection: Timing) -> None:
        body = response.body
        if isinstance(body, bytes):
            size = len(body)
        elif isinstance(body, list):
            size = sum(map(len, body))
        elif isinstance(body, Upgrade):
            response.body = Upgrade(self._counted(body.opening, request, response.status, start, connection))
            self._metrics.observe(request, response.status, trio.current_time() - start, 0)
            return
        else:
            response.body = self._counted(body, request, response.status, start, connection)
            self._metrics.observe(request, response.status, trio.current_time() - start, 0)
            return
        self._over(request, response.status, start, connection)
        self._metrics.observe(request, response.status, trio.current_time() - start, size)

    @asynccontextmanager
    async def _counted(
        self, body: AbstractAsyncContextManager[T], request: Request, code: int, start: float, connection: Timing
    ) -> AsyncIterator[T]:
        """The same stream or upgrade, counted as a long-running request while it is open."""
        metrics, ticket = self._metrics, request.ticket
        metrics.long_running(request.info, 1)
        try:
            async with self._begun(body, ticket) as stream:
                if "sendInitialEvents" in request.query and is_true(request.query, "sendInitialEvents"):
                    metrics.watch_list(request.info, trio.current_time() - start)
                yield stream
        finally:
            metrics.long_running(request.info, -1)
            self._over(request, code, start, connection)

    @asynccontextmanager
    async def _begun(self, body: AbstractAsyncContextManager[T], ticket: Ticket | None) -> AsyncIterator[T]:
        """The same stream; once it is open, its request no longer has seats, but may be a watcher."""
        if ticket is None:
            async with body as stream:
                yield stream
            return
        try:
            async with body as stream:
                ticket.leave(trio.current_time())
                ticket.watch(1)
                try:
                    yield stream
                finally:
                    ticket.watch(-1)
        finally:
            ticket.leave(trio.current_time())


def too_many() -> Response:
    """The answer to those for whom there is no room."""
    return text_response(429, BUSY + "\n", ("Retry-After", "1"))


def parse_timeout(text: str) -> float:
    """Go's duration notation ("32s", "1m30s") in seconds; empty or zero means no limit of its own.
    Raises StatusError 400."""
    if text in ("", "0"):
        return inf
    rest = text
    seconds = 0.0
    while match := DURATION.match(rest):
        seconds += float(match[1]) * UNITS[match[2]]
        rest = rest[match.end() :]
    if rest:
        raise bad_request(f'invalid timeout specified in the request URL - time: invalid duration "{text}"')
    return seconds or inf


async def compressed(response: Response, accepted: str) -> Response:
    """Large bodies in gzip for those who take it, as kube-apiserver does."""
    body = response.body
    if "gzip" not in accepted or not isinstance(body, bytes | list):
        return response
    size = len(body) if isinstance(body, bytes) else sum(map(len, body))
    if size <= GZIP_THRESHOLD or any(name.lower() == "content-encoding" for name, _ in response.headers):
        return response
    pieces = [body] if isinstance(body, bytes) else body
    packed = await trio.to_thread.run_sync(_gzip, pieces) if size > GZIP_IN_THREAD else _gzip(pieces)
    headers = [*response.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return Response(response.status, response.content_type, packed, headers)


def _gzip(pieces: list[bytes]) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
    packed = [packer.compress(piece) for piece in pieces]
    return b"".join([*packed, packer.flush()])
