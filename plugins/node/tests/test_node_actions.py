"""Probes and hooks against servers of the test's own, on 127.0.0.1."""

from contextlib import asynccontextmanager

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

from kubrick_kernel import TrioClock
from kubrick_node.actions import Actions, HookFailure, Target
from kubrick_node.probes import Answer, probes_of
from kubrick_node.testing.runtime import ScriptedRuntime

CONTAINER = {"name": "web", "env": [{"name": "WHO", "value": "me"}], "ports": []}
POD = {"metadata": {"name": "web", "namespace": "default", "uid": "u"}, "spec": {"containers": [CONTAINER]}}


@pytest.fixture
def runtime():
    return ScriptedRuntime(TrioClock())


async def look(runtime, port=0, timeout=1, ports=(), **action):
    container = {**CONTAINER, "ports": list(ports), "livenessProbe": {"timeoutSeconds": timeout, **action}}
    target = Target(POD, container, "scripted://1", "127.0.0.1")
    return await Actions(runtime).look(target, probes_of(container)[0])


@asynccontextmanager
async def listening(handle):
    """A server on a free port; gives the port."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def http(answers):
    """Answers by path; keeps the requests."""
    asked = []

    async def handle(stream):
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some(4096)
        asked.append(head.decode())
        await stream.send_all(answers[head.split()[1].decode()].encode())
        await stream.aclose()

    return handle, asked


def said(status, body="", **headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{lines}\r\n{body}"


async def test_http_probes_pass_between_200_and_399(runtime):
    handle, asked = http({"/ok": said(200, "fine"), "/bad": said(503, "no"), "/": said(204)})
    async with listening(handle) as port:
        action = {"path": "/ok", "port": port, "httpHeaders": [{"name": "X-Who", "value": "me"}]}
        assert await look(runtime, httpGet=action) == Answer(True, "fine")
        assert "User-Agent: kube-probe/1.36\r\n" in asked[0]
        assert "X-Who: me\r\n" in asked[0]
        bad = await look(runtime, httpGet={"path": "/bad", "port": port})
        assert bad == Answer(False, "HTTP probe failed with statuscode: 503")
        named = await look(runtime, httpGet={"port": "http"}, ports=[{"name": "http", "containerPort": port}])
        assert named.passed


async def test_redirects_are_followed_on_the_same_host_only(runtime):
    answers = {"/here": said(302, Location="/ok"), "/ok": said(200, "fine")}
    answers["/away"] = said(302, "go", Location="http://elsewhere.invalid/")
    handle, _ = http(answers)
    async with listening(handle) as port:
        assert (await look(runtime, httpGet={"path": "/here", "port": port})).output == "fine"
        away = await look(runtime, httpGet={"path": "/away", "port": port})
        assert (away.passed, away.warning) == (True, True)


async def test_a_server_that_is_not_there_or_not_http_fails_in_gos_words(runtime):
    async def rude(stream):
        await stream.receive_some(100)
        await stream.send_all(b"hello\r\n\r\n")

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    gone = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    answer = await look(runtime, httpGet={"path": "/x", "port": gone})
    assert answer.passed is False
    assert answer.output == f'Get "http://127.0.0.1:{gone}/x": dial tcp 127.0.0.1:{gone}: connect: connection refused'
    answer = await look(runtime, tcpSocket={"port": gone})
    assert answer.output == f"dial tcp 127.0.0.1:{gone}: connect: connection refused"
    async with listening(rude) as port:
        assert "malformed HTTP response" in (await look(runtime, httpGet={"port": port})).output


async def test_a_silent_server_is_waited_for_no_longer_than_the_timeout(runtime, autojump_clock):
    async def silent(stream):
        await trio.sleep_forever()

    async with listening(silent) as port:
        began = trio.current_time()
        answer = await look(runtime, timeout=3, httpGet={"port": port})
        assert trio.current_time() - began == 3
        assert "context deadline exceeded" in answer.output
        assert (await look(runtime, tcpSocket={"port": port})).passed


async def test_a_port_nobody_named_is_an_error_not_a_failure(runtime):
    answer = await look(runtime, tcpSocket={"port": "http"})
    assert answer.passed is None
    assert answer.output == "couldn't find port: http in container web"


async def test_commands_pass_with_zero_and_are_expanded(runtime, autojump_clock):
    seen = []

    def check(command):
        seen.append(tuple(command))
        return len(seen) - 1, b"out", b"err"

    runtime.commands["check"] = check
    action = {"command": ["check", "$(WHO)", "$(OTHER)"]}
    assert await look(runtime, exec=action) == Answer(True, "outerr")
    assert await look(runtime, exec=action) == Answer(False, "outerr")
    assert seen[0] == ("check", "me", "$(OTHER)")
    runtime.command_seconds = 5
    assert "timed out after 1s" in (await look(runtime, exec=action)).output
    runtime.fail("exec_sync", "Unavailable", "the runtime is away")
    assert await look(runtime, exec=action) == Answer(None, "the runtime is away")


def grpc(status=None, code="0"):
    """A health server that gives this status."""

    async def handle(stream):
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        await stream.send_all(connection.data_to_send())
        while data := await stream.receive_some(4096):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    headers = dict(event.headers)
                    assert headers[b":path"] == b"/grpc.health.v1.Health/Check"
                if isinstance(event, StreamEnded):
                    answer(connection, event.stream_id)
            await stream.send_all(connection.data_to_send())

    def answer(connection, number):
        head = [(":status", "200"), ("content-type", "application/grpc")]
        trailers = [("grpc-status", code), ("grpc-message", "it says no")]
        if status is None:
            connection.send_headers(number, head + trailers, end_stream=True)
            return
        connection.send_headers(number, head)
        message = b"\x08" + bytes([status]) if status else b""
        connection.send_data(number, b"\x00" + len(message).to_bytes(4, "big") + message)
        connection.send_headers(number, trailers, end_stream=True)

    return handle


async def test_grpc_health_is_asked(runtime, autojump_clock):
    async with listening(grpc(1)) as port:
        assert await look(runtime, grpc={"port": port, "service": "shop"}) == Answer(True)
    async with listening(grpc(2)) as port:
        answer = await look(runtime, grpc={"port": port})
        assert answer == Answer(False, 'service unhealthy (responded with "NOT_SERVING")')
    async with listening(grpc(0)) as port:
        assert '"UNKNOWN"' in (await look(runtime, grpc={"port": port})).output
    async with listening(grpc(None, "12")) as port:
        assert "does not implement the grpc health protocol" in (await look(runtime, grpc={"port": port})).output
    answer = await look(runtime, grpc={"port": port})
    assert answer.output.startswith(f'timeout: failed to connect service "127.0.0.1:{port}" within 1s')


async def hook(runtime, handler, timeout=0.0):
    await Actions(runtime).hook(Target(POD, CONTAINER, "scripted://1", "127.0.0.1"), handler, timeout)


async def test_hooks_run_commands_ask_servers_and_sleep(runtime, autojump_clock):
    began = trio.current_time()
    await hook(runtime, {"sleep": {"seconds": 5}})
    assert trio.current_time() - began == 5
    await hook(runtime, {"exec": {"command": ["fine"]}})
    runtime.commands["bad"] = lambda command: (3, b"", b"oh no")
    with pytest.raises(HookFailure, match="command 'bad' exited with 3: oh no"):
        await hook(runtime, {"exec": {"command": ["bad"]}})
    handle, asked = http({"/bye": said(500)})
    async with listening(handle) as port:
        await hook(runtime, {"httpGet": {"path": "/bye", "port": port}})
    assert len(asked) == 1
    with pytest.raises(HookFailure, match="connect: connection refused"):
        await hook(runtime, {"httpGet": {"path": "/bye", "port": port}})


def test_a_pod_in_the_nodes_network_is_asked_at_the_nodes_address(runtime):
    """The runtime knows no address of such a pod's own."""
    actions = Actions(runtime, "192.0.2.7")
    assert actions.target(POD, CONTAINER, "scripted://1", ("10.0.0.2",)).ip == "10.0.0.2"
    assert actions.target(POD, CONTAINER, "scripted://1", ()).ip == ""
    shared = {**POD, "spec": {**POD["spec"], "hostNetwork": True}}
    assert actions.target(shared, CONTAINER, "scripted://1", ()).ip == "192.0.2.7"
