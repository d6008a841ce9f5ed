"""The API over HTTPS, by httpx: any Kubernetes API server will do.

429 and 5xx answers that say when to try again are tried again, as kubectl does; what was never
answered is `Unreachable` and the caller's to retry. Watches go another way: `kubrick_client.streamed`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode

import httpx
import orjson
import trio

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api.storage import Call
from kubrick_client.kubeconfig import Access
from kubrick_client.refusal import to_status
from kubrick_client.streamed import LineStream, Server, no_answer, opened
from kubrick_client.transport import WatchStream

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


class HttpsTransport:
    """One identity at one server. Connections are opened when first needed, and closed by `aclose`."""

    def __init__(self, access: Access, agent: str = "kubrick") -> None:
        self.access = access
        self._agent = agent
        self._http: httpx.AsyncClient | None = None
        self._address: Server | None = None

    async def call(self, call: Call) -> Object:
        content = orjson.dumps(call.body) if call.body is not None else None
        for attempt in range(ATTEMPTS):
            answer = await self._send(call, content)
            if answer.is_success:
                return _object(answer)
            pause = _pause(answer)
            if pause is None or attempt == ATTEMPTS - 1:
                break
            await trio.sleep(pause)
        raise to_status(answer.status_code, answer.content, dict(answer.headers))

    @asynccontextmanager
    async def watch(self, call: Call) -> AsyncIterator[WatchStream]:
        query = urlencode({**call.params, "watch": "true"})
        async with opened(self._server(), f"{path_of(call)}?{query}", self._headers()) as answer:
            if answer.code >= 300:
                raise to_status(answer.code, await answer.read(), answer.headers)
            yield LineStream(answer)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _server(self) -> Server:
        """Where it is and how to trust it; the TLS context is made once."""
        if self._address is None:
            secure = self.access.server.startswith("https:")
            self._address = Server(self.access.server, self.access.tls() if secure else None, self.access.server_name)
        return self._address

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            self._http = httpx.AsyncClient(
                verify=self._server().tls or False, timeout=TIMEOUT, limits=limits, trust_env=False
            )
        return self._http

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if authorization := self.access.authorization():
            headers["Authorization"] = authorization
        return headers

    def _request(self, call: Call, content: bytes | None) -> httpx.Request:
        headers = self._headers()
        if content is not None:
            headers["Content-Type"] = call.content_type
        return self._client().build_request(
            METHODS[call.verb],
            self.access.server + path_of(call),
            params=dict(call.params),
            content=content,
            headers=headers,
            extensions={"sni_hostname": self.access.server_name} if self.access.server_name else None,
        )

    async def _send(self, call: Call, content: bytes | None) -> httpx.Response:
        try:
            return await self._client().send(self._request(call, content))
        except httpx.TransportError as error:
            raise no_answer(self.access.server, error) from None


def _object(answer: httpx.Response) -> Object:
    """What was answered. Raises StatusError 500 when it is no object: whoever answered is no API server."""
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        text = answer.text[:1024].strip()
        raise StatusError(
            500, "InternalError", f"the answer {answer.status_code} of {answer.url.host} is no object: {text}"
        )
    return found


def _pause(answer: httpx.Response) -> float | None:
    """Seconds until to try again, if the server said so."""
    if answer.status_code != 429 and answer.status_code < 500:
        return None
    try:
        return min(float(answer.headers["Retry-After"]), LONGEST_PAUSE)
    except (KeyError, ValueError):
        return None
