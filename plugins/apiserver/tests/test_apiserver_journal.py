"""The request log: one line each, with what an audit needs."""

import re
from typing import Any

import pytest
import trio
from attrs import define, field

from kubrick_api.storage import UserInfo
from kubrick_apiserver.journal import line, sources, trace_of
from kubrick_apiserver.request_info import parse_target
from kubrick_apiserver.server import APIServer
from kubrick_apiserver.web import Request
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_kernel import SystemClock
from kubrick_testing import run_cluster

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@define
class Connection:
    certificate: bytes | None = None
    deadline: float = 0.0
    peer: str = "192.0.2.7"
    pulse: Pulse = field(factory=lambda: Pulse(SystemClock()))


def request(target: str = "/version", **headers: str) -> Request:
    path, query, _, info = parse_target("GET", target)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", path, query, sent, b"", info, UserInfo("eve", groups=("a", "b")), target=target)


def test_a_line_says_who_what_where_and_how_it_ended() -> None:
    asked = request("/apis/apps/v1/namespaces/shop/deployments/web/scale?x=1", user_agent="kubectl/v1.36")
    asked.audit_id = "the-id"
    assert line(asked, "root", "192.0.2.7", 403, 0.0123456) == {
        "audit_id": "the-id",
        "user": "eve",
        "groups": "a,b",
        "verb": "get",
        "method": "GET",
        "uri": "/apis/apps/v1/namespaces/shop/deployments/web/scale?x=1",
        "code": 403,
        "latency": "12.346ms",
        "user_agent": "kubectl/v1.36",
        "source": "192.0.2.7",
        "resource": "deployments",
        "group": "apps",
        "subresource": "scale",
        "namespace": "shop",
        "name": "web",
        "impersonator": "root",
    }


def test_the_way_through_proxies_is_told() -> None:
    forwarded = request(x_forwarded_for="203.0.113.1, 198.51.100.2")
    assert sources(forwarded, "192.0.2.7") == ["203.0.113.1", "198.51.100.2", "192.0.2.7"]
    assert sources(forwarded, "198.51.100.2") == ["203.0.113.1", "198.51.100.2"]
    assert sources(request(), "") == []


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"01-{TRACE}-{SPAN}-01-more", (TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        ("", None),
    ],
)
def test_only_a_well_formed_trace_is_taken_over(header: str, found: tuple[str, str] | None) -> None:
    assert trace_of(header) == found


@pytest.mark.parametrize(("level", "lines"), [("info", 3), ("debug", 0), ("none", 0)])
async def test_every_request_leaves_one_line(level: str, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    async with run_cluster("api", settings={"apiserver": {"request_log": level}}) as cluster:
        filters = cluster.kernel.find(APIServer).filters

        async def ask(target: str) -> Any:
            headers = {
                "host": "x",
                "audit-id": f"id-of-{target}",
                "user-agent": 'a "b"\n',
                "traceparent": f"00-{TRACE}-{SPAN}-01",
            }
            return await filters(Message("GET", target, headers, b"", True), Connection())

        assert ("Audit-Id", "id-of-/version") in (await ask("/version")).headers
        await ask("/api/v1/pods")
        filters._control.authorizers.clear()
        filters._authentication.identify = _root  # type: ignore[method-assign]  # watching takes a permission
        watch = await ask("/api/v1/pods?watch=1&resourceVersion=0")
        assert capsys.readouterr().err.count("event=request ") == min(lines, 2)
        async with watch.body:
            await trio.lowlevel.checkpoint()
            assert "event=request " not in capsys.readouterr().err
        text = capsys.readouterr().err
        assert text.count("event=request ") == min(lines, 1)
        if lines:
            for part in ("user=root", "verb=watch", "code=200", f"trace_id={TRACE}", "source=192.0.2.7"):
                assert part in text
            assert re.search(r"latency=\d+\.\d{3}ms", text)
            assert len(text.splitlines()) == 1, "a client can't make lines of its own"


async def _root(credentials: Any) -> UserInfo:
    return UserInfo("root", groups=("system:masters",))
