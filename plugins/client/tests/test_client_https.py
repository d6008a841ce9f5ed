"""The HTTPS transport and the informer against a scripted server: refusals, delays, broken and expired watches."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.storage import Call
from kubrick_client import Client, Informer, Unreachable
from kubrick_client.https import HttpsTransport, path_of
from kubrick_client.kubeconfig import Access

Object = dict[str, Any]
CONFIG_MAPS = GVR("", "v1", "configmaps")
DEPLOYMENTS = GVR("apps", "v1", "deployments")
Answer = Callable[[str, trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def scripted(*answers: Answer) -> AsyncIterator[tuple[Client, list[str]]]:
    """A server that gives one answer per request, in order, each on a connection of its own."""
    requests: list[str] = []
    left = iter(answers)

    async def serve(stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            received = await stream.receive_some()
            if not received:
                return
            head += received
        line = head.split(b"\r\n")[0].decode()
        requests.append(line.split(" HTTP")[0])
        await next(left)(line, stream)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        client = Client(HttpsTransport(Access(f"http://127.0.0.1:{port}", token="t")))
        yield client, requests
        await client.aclose()
        nursery.cancel_scope.cancel()


def reply(code: int, body: bytes, *headers: str) -> Answer:
    async def answer(line: str, stream: trio.SocketStream) -> None:
        lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        await stream.send_all("\r\n".join(lines).encode() + body)

    return answer


def watch(*pieces: bytes) -> Answer:
    """A chunked answer, each piece sent by itself; it ends properly."""

    async def answer(line: str, stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for piece in pieces:
            await stream.send_all(b"%x\r\n%s\r\n" % (len(piece), piece))
            await trio.sleep(0.5)
        await stream.send_all(b"0\r\n\r\n")

    return answer


async def hang(line: str, stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def drop(line: str, stream: trio.SocketStream) -> None:
    """Close without a word."""


def config_map(name: str, version: int) -> Object:
    return {"metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": str(version)}}


def listing(version: int, *items: Object) -> Answer:
    body = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}, "items": items}
    return reply(200, orjson.dumps(body))


def event(kind: str, obj: Object) -> bytes:
    return orjson.dumps({"type": kind, "object": {"kind": "ConfigMap", "apiVersion": "v1", **obj}}) + b"\n"


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (Call("list", CONFIG_MAPS), "/api/v1/configmaps"),
        (Call("get", CONFIG_MAPS, "ns", "a"), "/api/v1/namespaces/ns/configmaps/a"),
        (Call("update", DEPLOYMENTS, "ns", "a", "scale"), "/apis/apps/v1/namespaces/ns/deployments/a/scale"),
        (Call("get", GVR("", "v1", "nodes"), "", "a/b"), "/api/v1/nodes/a%2Fb"),
    ],
)
def test_a_call_has_its_path(call: Call, path: str) -> None:
    assert path_of(call) == path


async def test_a_busy_server_is_asked_again_when_it_says(mock_clock: MockClock) -> None:
    mock_clock.rate = 100
    busy = reply(429, b"slow down", "Retry-After: 20")
    async with scripted(busy, busy, reply(200, b'{"metadata":{"name":"a"}}')) as (client, requests):
        before = trio.current_time()
        assert (await client.get(CONFIG_MAPS, "a", "default"))["metadata"]["name"] == "a"
        assert trio.current_time() - before >= 40
        assert requests == ["GET /api/v1/namespaces/default/configmaps/a"] * 3


async def test_a_refusal_is_the_servers_status_or_else_its_words() -> None:
    status = {"kind": "Status", "code": 409, "reason": "Conflict", "message": "no", "details": {"name": "a"}}
    answers = reply(409, orjson.dumps(status)), reply(502, b"<html>proxy</html>"), reply(404, b"")
    async with scripted(*answers) as (client, _):
        expected = [
            (409, "Conflict", "no"),
            (502, "", "<html>proxy</html>"),
            (404, "NotFound", "the server answered 404"),
        ]
        for code, reason, message in expected:
            with pytest.raises(StatusError) as raised:
                await client.get(CONFIG_MAPS, "a", "default")
            assert (raised.value.code, raised.value.reason, raised.value.message) == (code, reason, message)


async def test_an_answer_that_breaks_off_is_unreachable() -> None:
    async with scripted(drop) as (client, _):
        with pytest.raises(Unreachable, match=r"no answer from http://127\.0\.0\.1"):
            await client.get(CONFIG_MAPS, "a", "default")


async def test_an_informer_survives_ends_errors_expiry_and_pages(
    mock_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    mock_clock.rate = 20  # faster, and a busy machine would meet the client's own time limits
    split = event("MODIFIED", config_map("a", 6))
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    page = {
        "kind": "ConfigMapList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "20", "continue": "next"},
        "items": [config_map("a", 6)],
    }
    async with scripted(
        drop,
        reply(403, b"not yet"),
        listing(5, config_map("a", 5), config_map("b", 4)),
        watch(split[:20], split[20:], event("BOOKMARK", config_map("", 9))),
        watch(event("ADDED", config_map("c", 10))),
        watch(orjson.dumps({"type": "ERROR", "object": gone}) + b"\n"),
        reply(200, orjson.dumps(page)),
        listing(20, config_map("d", 19)),
        hang,
    ) as (client, requests):
        informer = Informer(client, CONFIG_MAPS)
        log: list[str] = []
        informer.add_handler(
            lambda obj: log.append(f"+{obj['metadata']['name']}"),
            lambda old, new: log.append(f"~{new['metadata']['name']}"),
            lambda obj: log.append(f"-{obj['metadata']['name']}"),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(informer.run)
            assert informer.synced
            with trio.fail_after(3600):
                while len(requests) < 9:  # noqa: ASYNC110 -- the server is not ours to change
                    await trio.sleep(1)
            assert log == ["+a", "+b", "~a", "+c", "+d", "-b", "-c"]
            nursery.cancel_scope.cancel()
        kinds = {obj["kind"] for obj in informer.list()}
        assert kinds == {"ConfigMap"}
        versions = [
            line.partition("resourceVersion=")[2].partition("&")[0] for line in requests if "watch=true" in line
        ]
        assert versions == ["5", "9", "10", "20"]
        assert "continue=next" in requests[7]
    assert "not yet" in capsys.readouterr().err


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"", b"[]", b'"fine"'])
async def test_an_answer_that_is_no_object_is_a_refusal_too(body: bytes) -> None:
    async with scripted(reply(200, body)) as (client, _):
        with pytest.raises(StatusError, match=r"the answer 200 of 127\.0\.0\.1 is no object") as refused:
            await client.get(CONFIG_MAPS, "a", "default")
    assert (refused.value.code, refused.value.reason) == (500, "InternalError")
