"""The proxy subresource of pods, services and nodes: HTTP to what runs there, in the name of the cluster.

A name may carry a scheme and a port: ``https:web:8443``, ``web:http``. Requests go straight to a pod's
address, or to one of a service's ready endpoints; a node's go to its agent. Upgraded connections
(WebSockets) are passed on byte by byte.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trio

from kubrick_api.errors import StatusError, bad_request, not_found
from kubrick_api.storage import Call
from kubrick_api_core import PODS, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_apiserver.connect.https import HOP_BY_HOP, forward
from kubrick_apiserver.connect.nodes import Nodes
from kubrick_apiserver.registry import Registry
from kubrick_apiserver.web import Request, Response, Upgrade
from kubrick_http.client import Address, Answer, Unanswered, exchange
from kubrick_http.response import ByteStream, TakeOver

Object = dict[str, Any]
READ_SIZE = 65536
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Proxy:
    """All three."""

    def __init__(self, registry: Registry, nodes: Nodes) -> None:
        self._registry = registry
        self._nodes = nodes

    async def pods(self, request: Request, call: Call) -> Response:
        scheme, name, port = split_name(call.name, "pod")
        pod = self._registry.get(PODS, call.namespace, name)
        if pod is None:
            raise not_found(PODS, name)
        address = (pod.get("status") or {}).get("podIP")
        if not address:
            raise bad_request("address not allowed")
        number = _pod_port(pod, port)
        return await self._pass_on(request, scheme, address, number, pod["spec"].get("nodeName", ""))

    async def services(self, request: Request, call: Call) -> Response:
        scheme, name, port = split_name(call.name, "service")
        service = self._registry.get(SERVICES, call.namespace, name)
        if service is None:
            raise not_found(SERVICES, name)
        ports = service["spec"].get("ports") or []
        chosen = _service_port(ports, port)
        if chosen is None:
            raise StatusError(503, "ServiceUnavailable", f'no service port {_quoted(port)} found for service "{name}"')
        address, number, node = self._endpoint(call.namespace, name, chosen)
        return await self._pass_on(request, scheme, address, number, node)

    def _endpoint(self, namespace: str, service: str, port: Object) -> tuple[str, int, str]:
        """One of the service's ready endpoints: address, port, node. Raises StatusError 503."""
        found = []
        for part in self._registry.list(ENDPOINT_SLICES, namespace):
            if (part["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != service:
                continue
            number = next(
                (each["port"] for each in part.get("ports") or () if (each.get("name") or "") == port.get("name", "")),
                None,
            )
            if number is None:
                continue
            for endpoint in part.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    found += [(each, number, endpoint.get("nodeName", "")) for each in endpoint["addresses"]]
        if not found:
            raise StatusError(503, "ServiceUnavailable", f'no endpoints available for service "{service}"')
        chosen: tuple[str, int, str] = self._registry.kernel.random.choice(found)
        return chosen

    async def nodes(self, request: Request, call: Call) -> Response:
        _, name, port = split_name(call.name, "node")
        target = rest_of(request, call)
        headers = {key: value for key, value in request.headers.items() if key != "authorization"}
        if self._nodes.is_local(name):
            return await self._nodes.agent(name).request(request.method, target, headers, request.body)
        address = self._nodes.address(name, int(port) if port.isdigit() else 0)
        return await _passed(address, request, target)

    async def _pass_on(self, request: Request, scheme: str, host: str, port: int, node: str) -> Response:
        if node and self._nodes.is_local(node):
            message = "error trying to reach service: the pod is hollow, nothing listens at its address"
            raise StatusError(503, "ServiceUnavailable", message)
        context = None
        if scheme == "https":
            # As kube-apiserver: what a pod shows can't be checked against anything.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return await _passed(Address(host, port, context), request, rest_of(request, None))


def split_name(name: str, what: str) -> tuple[str, str, str]:
    """Scheme, name and port of "name", "name:port" or "scheme:name:port". Raises StatusError 400."""
    parts = name.split(":")
    if len(parts) == 1:
        return "http", name, ""
    if len(parts) == 2:
        return "http", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0] or "http", parts[1], parts[2]
    raise bad_request(f'invalid {what} request "{name}"')


def rest_of(request: Request, call: Call | None) -> str:
    """What is behind ".../proxy" in the URL, as it came."""
    raw, question, query = (request.target or request.path).partition("?")
    parts = raw.split("/")
    # /api/v1/namespaces/NS/RESOURCE/NAME/proxy/... or /api/v1/nodes/NAME/proxy/...
    start = parts.index("proxy", 5 if parts[3] != "namespaces" else 7)
    return "/" + "/".join(parts[start + 1 :]) + question + query


def _pod_port(pod: Object, port: str) -> int:
    """A port by number or name; the first the pod names when there is none. Raises StatusError 400."""
    named = [each for container in pod["spec"]["containers"] for each in container.get("ports") or ()]
    if not port:
        return int(named[0]["containerPort"]) if named else 80
    if port.isdigit():
        return int(port)
    for each in named:
        if each.get("name") == port:
            return int(each["containerPort"])
    raise bad_request(f'no port named "{port}" in pod {pod["metadata"]["name"]}')


def _service_port(ports: list[Object], asked: str) -> Object | None:
    if not asked:
        return ports[0] if len(ports) == 1 else next((each for each in ports if not each.get("name")), None)
    return next((each for each in ports if asked in (each.get("name"), str(each["port"]))), None)


def _quoted(text: str) -> str:
    return f'"{text}"'


async def _passed(address: Address, request: Request, target: str) -> Response:
    """The request passed on, upgrades included. The caller's credentials stay here."""
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    if "upgrade" not in request.headers:
        return await forward(address, request.method, target, headers, request.body)
    fields = [(name, value) for name, value in headers.items() if name not in HOP_BY_HOP]
    fields += [("Connection", "Upgrade"), ("Upgrade", request.headers["upgrade"])]
    response = Response(101)
    response.body = Upgrade(_tunnel(exchange(address, request.method, target, fields, request.body), response))
    return response


@asynccontextmanager
async def _tunnel(opening: AbstractAsyncContextManager[Answer], response: Response) -> AsyncIterator[TakeOver]:
    """The upgraded connection, joined with the client's. Raises StatusError for what isn't upgraded."""
    try:
        async with opening as answer:
            if answer.status != 101:
                text = (await answer.read()).decode(errors="replace")
                raise StatusError(answer.status if answer.status >= 400 else 502, "", text or "not upgraded")
            response.headers += [
                (name, value) for name, value in answer.fields if name.lower() not in ("date", "content-length")
            ]
            far = answer.upgraded()

            async def join(near: ByteStream) -> None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pump, near, far, nursery.cancel_scope)
                    nursery.start_soon(_pump, far, near, nursery.cancel_scope)

            yield join
    except Unanswered as error:
        message = f"error trying to reach service: {error}"
        raise StatusError(503, "ServiceUnavailable", message) from None


async def _pump(source: ByteStream, target: ByteStream, scope: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some(READ_SIZE):
            await target.send_all(bytes(data))
    except GONE:
        pass
    scope.cancel()
