"""Logs, streams and proxies through the API server, up to hollow nodes and to sockets of this test."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError, forbidden
from kubrick_api.storage import Reader
from kubrick_api_core import CONFIG_MAPS, NODES, PODS, SERVICE_ACCOUNTS, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_apiserver.admission import Attributes
from kubrick_apiserver.bootstrap import Bootstrap
from kubrick_apiserver.chain import AdmissionChain
from kubrick_apiserver.connect.log import checked
from kubrick_apiserver.connect.pods import container_of
from kubrick_apiserver.connect.proxy import split_name
from kubrick_apiserver.registry import Registry
from kubrick_apiserver.server import APIServer
from kubrick_http.connection import Connection, Limits
from kubrick_http.pulse import Pulse
from kubrick_kernel import TrioClock
from kubrick_testing import Cluster, build, run_cluster

Object = dict[str, Any]
POD = "/api/v1/namespaces/default/pods/web"


class Web:
    """Requests by bytes, as somebody the token file knows."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @asynccontextmanager
    async def connected(self, certificate: bytes | None = None) -> AsyncIterator[Any]:
        server = self.cluster.kernel.find(APIServer)
        near, far = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Connection(far, server.filters, Pulse(TrioClock()), Limits()).run)
            yield near
            nursery.cancel_scope.cancel()

    async def __call__(self, method: str, target: str, *headers: str, token: str = "admin") -> tuple[int, bytes]:
        """Status and body, in plain HTTP."""
        async with self.connected() as stream:
            upgrade = "Upgrade, " if headers else ""
            lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *headers]
            await stream.send_all(("\r\n".join([*lines, f"Connection: {upgrade}close", "", ""])).encode())
            answer = b""
            while data := await stream.receive_some(65536):
                answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"chunked" in head:
            body = _joined(body)
        return int(head.split(b" ")[1]), body


def _joined(chunks: bytes) -> bytes:
    body = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        body, chunks = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


@asynccontextmanager
async def served(tmp_path: Any, profile: str = "hollow") -> AsyncIterator[Web]:
    file = tmp_path / "tokens.csv"
    file.write_text('admin,admin,1,"system:masters"\nviewer,viewer,2,"viewers"\n')
    settings: Object = {"apiserver": {"token_file": str(file)}}
    if profile == "hollow":
        settings["runtime-hollow"] = {"nodes": 1}
    async with run_cluster(profile, settings=settings) as cluster:
        await cluster.until_all(SERVICE_ACCOUNTS, lambda found: profile != "hollow" or bool(found), "default")
        yield Web(cluster)


async def run_pod(web: Web, **annotations: str) -> None:
    given = {f"hollow.kubrick.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    await web.cluster.client.create(PODS, build.pod("web", annotations=given, automountServiceAccountToken=False))
    phases = ("Running", "Succeeded")
    await web.cluster.until(PODS, "web", lambda pod: bool(pod and pod["status"].get("phase") in phases))


async def test_a_hollow_pod_logs_what_it_is_told_to(autojump_clock: trio.testing.MockClock, tmp_path: Any) -> None:
    async with served(tmp_path) as web:
        await run_pod(web, log="one\ntwo\nthree")
        assert await web("GET", f"{POD}/log") == (200, b"one\ntwo\nthree\n")
        assert await web("GET", f"{POD}/log?tailLines=1") == (200, b"three\n")
        assert await web("GET", f"{POD}/log?limitBytes=5") == (200, b"one\nt")
        assert (await web("GET", f"{POD}/log?timestamps=true&tailLines=1"))[1].endswith(b"Z three\n")
        assert await web("GET", f"{POD}/log?tailLines=0") == (200, b"")


async def test_a_followed_log_ends_with_its_container(autojump_clock: trio.testing.MockClock, tmp_path: Any) -> None:
    async with served(tmp_path) as web:
        await run_pod(web, log="hello", exit_after="90s")
        began = trio.current_time()
        assert await web("GET", f"{POD}/log?follow=true") == (200, b"hello\n")
        assert 80 < trio.current_time() - began < 95


async def test_nothing_can_be_executed_where_nothing_runs(
    autojump_clock: trio.testing.MockClock, tmp_path: Any
) -> None:
    async with served(tmp_path) as web:
        await run_pod(web)
        async with web.connected() as stream:
            answer = await websocket(stream, f"{POD}/exec?command=true&stdout=1", "v4.channel.k8s.io")
            assert isinstance(answer, RejectConnection)
            assert answer.status_code == 501
        code, body = await web("POST", f"{POD}/portforward", "Upgrade: SPDY/3.1")
        assert code == 501
        assert b"no process runs in it" in body


async def test_a_stopped_node_is_said_to_be(autojump_clock: trio.testing.MockClock, tmp_path: Any) -> None:
    async with served(tmp_path) as web:
        await run_pod(web, log="x")
        from kubrick_runtime_hollow.nodes import HollowNodes

        web.cluster.kernel.find(HollowNodes).stop("node-1")
        await trio.sleep(1)
        code, body = await web("GET", f"{POD}/log")
        assert code == 500
        assert b"the hollow node node-1 is stopped" in body


async def test_the_proxies_reach_no_hollow_address(autojump_clock: trio.testing.MockClock, tmp_path: Any) -> None:
    async with served(tmp_path) as web:
        await run_pod(web)
        code, body = await web("GET", f"{POD}/proxy/")
        assert code == 503
        assert b"nothing listens at its address" in body
        assert await web("GET", "/api/v1/nodes/node-1/proxy/healthz") == (200, b"ok")
        code, body = await web("GET", "/api/v1/nodes/node-1/proxy/pods")
        assert orjson.loads(body)["items"][0]["metadata"]["name"] == "web"


async def websocket(stream: Any, target: str, *protocols: str, token: str = "admin") -> Any:
    """The answer to a WebSocket's handshake."""
    connection = WSConnection(ConnectionType.CLIENT)
    extra = [(b"Authorization", f"Bearer {token}".encode())]
    request = Request(host="x", target=target, subprotocols=list(protocols), extra_headers=extra)
    await stream.send_all(connection.send(request))
    connection.receive_data(await stream.receive_some(65536))
    return next(iter(connection.events()))


async def test_a_watch_by_websocket_has_an_event_in_each_message(
    autojump_clock: trio.testing.MockClock, tmp_path: Any
) -> None:
    async with served(tmp_path, "api") as web, web.connected() as stream:
        client = web.cluster.client
        await client.create(CONFIG_MAPS, build.config_map("first"))
        connection = WSConnection(ConnectionType.CLIENT)
        extra = [(b"Authorization", b"Bearer admin")]
        target = "/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name=first&timeoutSeconds=30"
        await stream.send_all(connection.send(Request(host="x", target=target, extra_headers=extra)))
        events: list[Any] = []

        async def next_event() -> Any:
            while not events:
                connection.receive_data(await stream.receive_some(65536) or None)
                events.extend(connection.events())
            return events.pop(0)

        assert isinstance(await next_event(), AcceptConnection)
        added = await next_event()
        assert isinstance(added, TextMessage)
        assert orjson.loads(added.data)["type"] == "ADDED"
        await client.delete(CONFIG_MAPS, "first", "default")
        assert orjson.loads((await next_event()).data)["type"] == "DELETED"
        assert isinstance(await next_event(), CloseConnection), "the watch ends when its time is over"


async def test_a_websocket_needs_more_than_the_permission_to_get(
    autojump_clock: trio.testing.MockClock, tmp_path: Any
) -> None:
    async with served(tmp_path) as web:
        await run_pod(web)
        from kubrick_api_rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES

        rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}]
        await web.cluster.client.create(CLUSTER_ROLES, {"metadata": {"name": "viewer"}, "rules": rules})
        body = {
            "metadata": {"name": "viewer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "viewer"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}],
        }
        await web.cluster.client.create(CLUSTER_ROLE_BINDINGS, body)
        async with web.connected() as stream:
            answer = await websocket(stream, f"{POD}/exec?command=true", "v4.channel.k8s.io", token="viewer")
            assert isinstance(answer, RejectConnection)
            assert answer.status_code == 403


async def test_admission_may_refuse_a_connection(autojump_clock: trio.testing.MockClock, tmp_path: Any) -> None:
    class NoExec:
        name = "NoExec"
        order = 225

        def handles(self, attributes: Attributes) -> bool:
            return attributes.operation == "CONNECT" and attributes.kind.kind == "PodExecOptions"

        async def validate(self, attributes: Attributes) -> None:
            raise forbidden(attributes.resource, attributes.name, "no exec on Fridays")

    async with served(tmp_path) as web:
        await run_pod(web)
        registry = web.cluster.kernel.find(Reader)
        assert isinstance(registry, Registry)
        registry.chain = AdmissionChain([NoExec()])
        code, body = await web("POST", f"{POD}/exec?command=true", "Upgrade: SPDY/3.1")
        assert code == 403
        assert b"no exec on Fridays" in body


async def greet(stream: trio.SocketStream) -> None:
    """A pod's web server: tells the request's first line and whether credentials came with it."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive_some(65536)
    lines = request.split(b"\r\n")
    told = lines[0] + b" " + str(b"uthorization" in request).encode()
    if b"GET /trace " in request:
        told = next(line for line in lines if line.lower().startswith(b"traceparent:"))
    if b"Upgrade: echo" in request:
        await stream.send_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        async for data in stream:
            await stream.send_all(data.upper())
        return
    await stream.send_all(b"HTTP/1.1 203 Fine\r\nX-Pod: web\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))


async def _store_slice(cluster: Cluster, port: int) -> None:
    """The endpoint of "web", written as the server writes its own: no client may name a loopback address, and a
    test that stays on this machine has no other."""
    made = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": "web-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}, "nodeName": "far"}],
        "ports": [{"port": port, "name": "", "protocol": "TCP"}],
    }
    await Bootstrap(cluster.kernel, cluster.kernel.find(Catalog), {}).write([made])


@asynccontextmanager
async def proxied(tmp_path: Any) -> AsyncIterator[tuple[Web, int]]:
    """A cluster whose pod "web" is a socket of this process, behind the service "web"."""
    async with served(tmp_path, "api") as web, trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, greet, [listener])
        port = listener.socket.getsockname()[1]
        client = web.cluster.client
        await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, "default")
        await client.create(NODES, build.node("far"))
        pod = build.pod("web", nodeName="far", automountServiceAccountToken=False)
        pod["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": port}]
        await client.create(PODS, pod)
        status = {"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
        await client.patch(PODS, "web", status, "default", subresource="status")
        await client.create(SERVICES, build.service("web"))
        await _store_slice(web.cluster, port)
        yield web, port
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", ["pods/web", "pods/web:http", "services/web", "services/http:web:80"])
async def test_the_proxy_passes_requests_on_without_credentials(name: str, tmp_path: Any) -> None:
    with trio.fail_after(20):
        async with proxied(tmp_path) as (web, _):
            code, body = await web("GET", f"/api/v1/namespaces/default/{name}/proxy/a%20b/c?x=1&y=%2F")
            assert (code, body) == (203, b"GET /a%20b/c?x=1&y=%2F HTTP/1.1 False")


async def test_a_trace_goes_on_behind_the_proxy(tmp_path: Any) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with trio.fail_after(20):
        async with proxied(tmp_path) as (web, _):
            _, body = await web("GET", "/api/v1/namespaces/default/pods/web/proxy/trace", f"Traceparent: {trace}")
            assert body.lower() == f"traceparent: {trace}".encode()


async def test_the_proxy_passes_upgrades_on(tmp_path: Any) -> None:
    with trio.fail_after(20):
        async with proxied(tmp_path) as (web, _), web.connected() as stream:
            head = f"GET {POD}/proxy/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n"
            await stream.send_all(f"{head}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
            answer = bytes(await stream.receive_some(65536))
            assert answer.startswith(b"HTTP/1.1 101 ")
            assert b"Upgrade: echo" in answer
            await stream.send_all(b"quiet")
            assert await stream.receive_some(65536) == b"QUIET"


async def test_the_proxy_says_why_it_reaches_nobody(tmp_path: Any) -> None:
    with trio.fail_after(20):
        async with proxied(tmp_path) as (web, _):
            code, body = await web("GET", "/api/v1/namespaces/default/services/web:nope/proxy/")
            assert (code, b'no service port \\"nope\\" found' in body) == (503, True)
            code, body = await web("GET", "/api/v1/namespaces/default/pods/web:1/proxy/")
            assert code == 503
            assert b"connection refused" in body
            code, body = await web("GET", f"{POD}/log")
            assert code == 500
            assert b"no preferred addresses found" in body
            await web.cluster.client.delete(ENDPOINT_SLICES, "web-1", "default")
            code, body = await web("GET", "/api/v1/namespaces/default/services/web/proxy/")
            assert (code, b'no endpoints available for service \\"web\\"' in body) == (503, True)


async def test_what_may_not_be_asked_is_refused_in_words(tmp_path: Any) -> None:
    async with served(tmp_path, "api") as web:
        code, body = await web("GET", f"{POD}/log")
        assert (code, orjson.loads(body)["message"]) == (404, 'pods "web" not found')
        for method, target in (("POST", f"{POD}/log"), ("PUT", f"{POD}/exec")):
            assert (await web(method, target))[0] in (404, 405)


def pod_with(**containers: list[str]) -> Object:
    spec = {key: [{"name": name} for name in names] for key, names in containers.items()}
    return {"metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(
    ("pod", "asked", "why"),
    [
        (pod_with(containers=["a", "b"]), "", "a container name must be specified for pod web, choose one of: [a b]"),
        (
            pod_with(containers=["a", "b"], initContainers=["i"]),
            "",
            "a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]",
        ),
        (pod_with(containers=["a"]), "z", "container z is not valid for pod web"),
    ],
)
def test_a_container_must_be_named_when_there_are_several(pod: Object, asked: str, why: str) -> None:
    with pytest.raises(StatusError) as caught:
        container_of(pod, asked)
    assert (caught.value.code, caught.value.message) == (400, why)


def test_the_only_container_need_not_be_named() -> None:
    assert container_of(pod_with(containers=["a"], initContainers=["i"]), "") == "a"
    assert container_of(pod_with(containers=["a"], ephemeralContainers=["e"]), "e") == "e"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"limitBytes": "0"}, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            {"sinceSeconds": "1", "sinceTime": "2030-01-01T00:00:00Z"},
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ({"stream": "Stdin"}, 'stream: Unsupported value: "Stdin"'),
        ({"sinceTime": "noon"}, 'parsing time "noon"'),
    ],
)
def test_log_options_are_checked(params: dict[str, str], why: str) -> None:
    with pytest.raises(StatusError) as caught:
        checked(params, "web")
    assert why in caught.value.message


@given(st.text(max_size=20))
def test_a_proxied_name_is_understood_or_refused(name: str) -> None:
    with contextlib.suppress(StatusError):
        assert split_name(name, "pod")[0] in ("http", "https")
