"""The API over HTTPS, by httpx: any Kubernetes API server will do.

A watch is one streamed answer, an event a line. 429 and 5xx answers that say when to try again are
tried again, as kubectl does; what was never answered is `Unreachable` and the caller's to retry.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import trio

from kubrick_api.errors import StatusError
from kubrick_api.storage import Call
from kubrick_client.kubeconfig import Access
from kubrick_client.transport import Unreachable, WatchEvent

Object = dict[str, Any]
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
ATTEMPTS = 10
LONGEST_PAUSE = 30.0
TIMEOUT = 60.0
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Gone",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def path_of(call: Call) -> str:
    """The URL path of a call."""
    parts = [call.resource.root]
    if call.namespace:
        parts += ["namespaces", quote(call.namespace, safe="")]
    parts.append(call.resource.resource)
    if call.name:
        parts.append(quote(call.name, safe=""))
    if call.subresource:
        parts.append(call.subresource)
    return "/".join(parts)


def to_status(code: int, body: bytes, headers: httpx.Headers) -> StatusError:
    """A refusal as an error, whether or not the body is a Status (a proxy's page is not)."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    extra = (("Retry-After", headers["Retry-After"]),) if "Retry-After" in headers else ()
    if isinstance(status, dict) and status.get("kind") == "Status":
        return from_status(status, code, extra)
    message = body[:2048].decode(errors="replace").strip() or f"the server answered {code}"
    return StatusError(code, REASONS.get(code, ""), message, None, extra)


def from_status(status: Object, code: int = 0, headers: tuple[tuple[str, str], ...] = ()) -> StatusError:
    """A metav1.Status as an error."""
    return StatusError(
        status.get("code") or code,
        status.get("reason", ""),
        status.get("message", ""),
        status.get("details"),
        headers,
    )


class HttpsTransport:
    """One identity at one server. Connections are opened when first needed, and closed by `aclose`."""

    def __init__(self, access: Access, agent: str = "kubrick") -> None:
        self.access = access
        self._agent = agent
        self._http: httpx.AsyncClient | None = None

    async def call(self, call: Call) -> Object:
        content = orjson.dumps(call.body) if call.body is not None else None
        for attempt in range(ATTEMPTS):
            answer = await self._send(call, content)
            if answer.is_success:
                found: Object = orjson.loads(answer.content)
                return found
            pause = _pause(answer)
            if pause is None or attempt == ATTEMPTS - 1:
                break
            await trio.sleep(pause)
        raise to_status(answer.status_code, answer.content, answer.headers)

    @asynccontextmanager
    async def watch(self, call: Call) -> "AsyncIterator[LineStream]":
        request = self._request(call, None, {"watch": "true"})
        request.extensions["timeout"] = {"connect": TIMEOUT, "write": TIMEOUT, "pool": TIMEOUT, "read": None}
        try:
            answer = await self._client().send(request, stream=True)
        except httpx.TransportError as error:
            raise Unreachable(_words(error, self.access.server)) from None
        try:
            if not answer.is_success:
                raise to_status(answer.status_code, await answer.aread(), answer.headers)
            yield LineStream(answer, self.access.server)
        finally:
            with trio.CancelScope(shield=True):
                await answer.aclose()

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            self._http = httpx.AsyncClient(
                verify=self.access.tls(), timeout=TIMEOUT, limits=limits, trust_env=False, follow_redirects=False
            )
        return self._http

    def _request(self, call: Call, content: bytes | None, more: dict[str, str] | None = None) -> httpx.Request:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if content is not None:
            headers["Content-Type"] = call.content_type
        if authorization := self.access.authorization():
            headers["Authorization"] = authorization
        extensions = {"sni_hostname": self.access.server_name} if self.access.server_name else None
        return self._client().build_request(
            METHODS[call.verb],
            self.access.server + path_of(call),
            params={**call.params, **(more or {})},
            content=content,
            headers=headers,
            extensions=extensions,
        )

    async def _send(self, call: Call, content: bytes | None) -> httpx.Response:
        try:
            return await self._client().send(self._request(call, content))
        except httpx.TransportError as error:
            raise Unreachable(_words(error, self.access.server)) from None


class LineStream:
    """`WatchStream` over a streamed answer: one JSON object a line."""

    def __init__(self, answer: httpx.Response, server: str) -> None:
        self._chunks = answer.aiter_bytes()
        self._server = server
        self._rest = b""

    async def receive(self) -> list[WatchEvent]:
        """Everything that arrived at once; [] at the end of the stream, or when it broke off."""
        while True:
            try:
                chunk = await anext(self._chunks)
            except (StopAsyncIteration, httpx.RemoteProtocolError, httpx.ReadError):
                return []
            except httpx.TransportError as error:
                raise Unreachable(_words(error, self._server)) from None
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            events = [self._event(line) for line in lines if line.strip()]
            if events:
                return events

    @staticmethod
    def _event(line: bytes) -> WatchEvent:
        event = orjson.loads(line)
        if event["type"] == "ERROR":
            raise from_status(event["object"], 500)
        return WatchEvent(event["type"], event["object"])


def _pause(answer: httpx.Response) -> float | None:
    """Seconds until to try again, if the server said so."""
    if answer.status_code != 429 and answer.status_code < 500:
        return None
    try:
        return min(float(answer.headers["Retry-After"]), LONGEST_PAUSE)
    except (KeyError, ValueError):
        return None


def _words(error: Exception, server: str) -> str:
    return f"no answer from {server}: {str(error) or type(error).__name__}"
