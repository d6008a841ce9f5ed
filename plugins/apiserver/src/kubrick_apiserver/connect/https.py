"""A node's agent over HTTPS: `kubrick_api_core.agents.Agent` in the kubelet's paths and parameters."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import quote, urlencode

import orjson

from kubrick_api.errors import StatusError, bad_request, internal
from kubrick_api_core.agents import Target
from kubrick_http import Response, Stream
from kubrick_http.client import Address, Answer, Unanswered, exchange
from kubrick_http.portforward import Forwarder, spdy_forwarder
from kubrick_http.remotecommand import Session, Streams, spdy_session


class HttpsAgent:
    """The agent at one address."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def logs(self, target: Target, params: Mapping[str, str]) -> AbstractAsyncContextManager[Stream]:
        """`Agent.logs`."""
        path = f"/containerLogs/{_path(target.namespace, target.pod, target.container)}"
        return self._logs(f"{path}?{urlencode(params)}" if params else path)

    @asynccontextmanager
    async def _logs(self, target: str) -> AsyncIterator[Stream]:
        try:
            async with exchange(self._address, "GET", target, []) as answer:
                if answer.status != 200:
                    raise refused(answer.status, answer.headers, await answer.read())
                yield answer
        except Unanswered as error:
            raise self._unanswered("Get", target, error) from None

    def exec(self, target: Target, command: Sequence[str], streams: Streams) -> AbstractAsyncContextManager[Session]:
        """`Agent.exec`."""
        query = [*_wanted(streams), *(("command", word) for word in command)]
        return self._session(f"/exec/{_path(target.namespace, target.pod, target.container)}", query, streams)

    def attach(self, target: Target, streams: Streams) -> AbstractAsyncContextManager[Session]:
        """`Agent.attach`."""
        path = f"/attach/{_path(target.namespace, target.pod, target.container)}"
        return self._session(path, _wanted(streams), streams)

    @asynccontextmanager
    async def _session(self, path: str, query: Sequence[tuple[str, str]], streams: Streams) -> AsyncIterator[Session]:
        try:
            async with spdy_session(self._address, f"{path}?{urlencode(query)}", streams, refuse=refused) as session:
                yield session
        except Unanswered as error:
            raise internal(f"error dialing backend: {error}") from None

    def port_forward(self, target: Target, ports: Sequence[int]) -> AbstractAsyncContextManager[Forwarder]:
        """`Agent.port_forward`."""
        return self._port_forward(f"/portForward/{_path(target.namespace, target.pod)}")

    @asynccontextmanager
    async def _port_forward(self, path: str) -> AsyncIterator[Forwarder]:
        try:
            async with spdy_forwarder(self._address, path, refuse=refused) as forwarder:
                yield forwarder
        except Unanswered as error:
            raise internal(f"error dialing backend: {error}") from None

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """`Agent.request`."""
        return await forward(self._address, method, path, headers, body)

    def _unanswered(self, verb: str, target: str, error: Unanswered) -> StatusError:
        return StatusError(500, "InternalError", f'{verb} "https://{self._address}{target}": {error}')


HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "host",
    )
)


async def forward(
    address: Address, method: str, target: str, headers: Mapping[str, str], body: bytes, reading: bool = True
) -> Response:
    """Pass a request on, and its answer back as it comes. Raises StatusError 503 when there is none."""
    fields = [(name, value) for name, value in headers.items() if name not in HOP_BY_HOP]
    opened = _Opened(address, method, target, fields, body)
    answer = await opened.open()
    passed = [
        (name, value) for name, value in answer.fields if name.lower() not in HOP_BY_HOP and name.lower() != "date"
    ]
    content_type = answer.headers.get("content-type", "application/octet-stream")
    return Response(
        answer.status,
        content_type,
        opened.body(),
        [(name, value) for name, value in passed if name.lower() != "content-type"],
    )


class _Opened:
    """An exchange whose head is read now and whose body later, by whoever sends the response."""

    def __init__(self, address: Address, method: str, target: str, fields: list[tuple[str, str]], body: bytes) -> None:
        self._context = exchange(address, method, target, fields, body)
        self._address = address
        self._answer: Answer | None = None

    async def open(self) -> Answer:
        try:
            self._answer = await self._context.__aenter__()
        except Unanswered as error:
            message = f"error trying to reach service: {error}"
            raise StatusError(503, "ServiceUnavailable", message) from None
        return self._answer

    @asynccontextmanager
    async def body(self) -> AsyncIterator[Stream]:
        assert self._answer is not None
        try:
            yield self._answer
        finally:
            await self._context.__aexit__(None, None, None)


def _path(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


def _wanted(streams: Streams) -> list[tuple[str, str]]:
    """The kubelet's parameters for streams."""
    flags = {
        "input": streams.stdin,
        "output": streams.stdout,
        "error": streams.stderr and not streams.tty,
        "tty": streams.tty,
    }
    return [(name, "1") for name, there in flags.items() if there]


def refused(status: int, headers: Mapping[str, str], body: bytes) -> StatusError:
    """An agent's refusal in the words a client of the API gets (kube-apiserver's GenericHttpResponseChecker)."""
    text = body.decode(errors="replace").strip()
    try:
        told = orjson.loads(body)
        if isinstance(told, dict) and told.get("kind") == "Status":
            text = told.get("message", text)
    except orjson.JSONDecodeError:
        pass
    if status == 400:
        return bad_request(text)
    if status == 404:
        return StatusError(404, "NotFound", text)
    if status == 500:
        return internal(text)
    if status == 401:
        return internal("the node's agent does not know this server: its certificate is not of the node's authority")
    return StatusError(status if status >= 400 else 502, "", text or f"the node's agent answered {status}")
