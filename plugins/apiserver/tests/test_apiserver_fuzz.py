"""Whatever is sent, as a body, a query or an Accept header, is answered or refused; a refusal writes nothing."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
import trio
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.groups import load_groups
from kubrick_api.protobuf import MAGIC, Protobuf
from kubrick_api.storage import Reader, UserInfo
from kubrick_apiserver.body import Unreadable, WebBody
from kubrick_apiserver.handler import ResourceHandler
from kubrick_apiserver.negotiation import JSON, PROTOBUF, YAML, load_yaml, media_type, representation
from kubrick_apiserver.options import integer, list_options, revision
from kubrick_apiserver.read import Token
from kubrick_apiserver.registry import Registry
from kubrick_apiserver.request_info import parse_target
from kubrick_apiserver.web import Request
from kubrick_kernel import Kernel
from kubrick_testing import faults, run_cluster

ADMIN = UserInfo("kubernetes-admin", groups=("system:masters", "system:authenticated"))
POD = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
FILLED: dict[str, Any] = {
    "/api/v1/namespaces/default/configmaps": {"data": {"a": "1"}},
    "/api/v1/namespaces/default/pods": {"spec": POD},
    "/api/v1/namespaces/default/services": {"spec": {"ports": [{"port": 80}]}},
    "/apis/apps/v1/namespaces/default/deployments": {
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
    },
    "/apis/apps/v1/namespaces/default/controllerrevisions": {"revision": 1, "data": {"a": [1, {"b": None}]}},
}
KINDS = {"configmaps": "ConfigMap", "pods": "Pod", "services": "Service", "deployments": "Deployment"}

SNIPPETS = (b"", b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\ud800", b"\x00", b"\xff", b"- ", b"&a ", b"*a")
VALUES = (b"null", b"1e400", b"-0", b"9" * 30, b"{}", b"[[]]", b'"x"', b"true", b'"$patch"', b"<<: *a", b"!!float x")
WORDS = (
    "",
    "0",
    "-1",
    "1",
    "true",
    "x",
    "9" * 20,
    "9" * 4400,
    "a=b",
    "a in (",
    "!a",
    "a>1",
    "metadata.name=x",
    "\\",
    "é",
)
PARAMETERS = (
    *("labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch", "limit", "continue", "pretty"),
    *("timeoutSeconds", "allowWatchBookmarks", "sendInitialEvents", "watch", "dryRun", "fieldManager", "force"),
    *("fieldValidation", "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "includeObject"),
)
MATCHES = ("Exact", "NotOlderThan", "All", "Strict", "Foreground", "Object", "a,b", "spec.nodeName!=x")
TYPES = (
    *(JSON, YAML, PROTOBUF, "application/merge-patch+json", "application/strategic-merge-patch+json"),
    *("application/json-patch+json", "application/apply-patch+yaml", "text/plain", "application/json;x"),
)
ACCEPTS = (
    "application/json",
    "*/*",
    "as=Table",
    "v=v1",
    "g=meta.k8s.io",
    "q=x",
    "q=0.5",
    PROTOBUF,
    YAML,
    ";",
    ",",
    "=",
)

accepts = st.lists(st.sampled_from(ACCEPTS), max_size=6).map(";".join) | st.text(max_size=30)
queries = st.dictionaries(
    st.sampled_from(PARAMETERS), st.sampled_from((*WORDS, *MATCHES)) | st.text(max_size=8), max_size=4
)
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5)
names = st.sampled_from(
    ("metadata", "spec", "data", "name", "$patch", "$retainKeys", "op", "path", "value", "f:a", "k:{}")
)
values = st.recursive(
    leaves, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(names, inside, max_size=3), max_leaves=8
)
operations = st.fixed_dictionaries(
    {
        "op": st.sampled_from(("add", "remove", "replace", "copy", "move", "test", "x")),
        "path": st.sampled_from(
            ("", "/", "/data", "/data/-", "/data/a/1", "/metadata/name", "/~2", "x", "/spec/replicas")
        ),
    },
    optional={"from": st.sampled_from(("", "/data", "/spec", "x")), "value": values},
)


@frozen
class Sent:
    """One request. `cuts` are places, as fractions, where something is put into the body."""

    method: str
    tail: str
    media: str
    path: str
    query: dict[str, str]
    accept: str
    change: Any
    cuts: list[tuple[float, int, bytes]]


TAILS = ("", "/there", "/missing", "/there/status", "/there/scale", "/there/x")
whole = (JSON, YAML, PROTOBUF)
ways = st.one_of(
    st.tuples(st.just("POST"), st.just(""), st.sampled_from(whole)),
    st.tuples(st.just("PUT"), st.sampled_from(("/there", "/there/status")), st.sampled_from(whole)),
    st.tuples(st.just("PATCH"), st.sampled_from(("/there", "/there/status", "/new")), st.sampled_from(TYPES[3:7])),
    st.tuples(st.just("PATCH"), st.sampled_from(("/there", "/there/status", "/new")), st.sampled_from(TYPES[3:7])),
    st.tuples(st.sampled_from(("GET", "DELETE")), st.sampled_from(("", "/there")), st.just(JSON)),
    st.tuples(
        st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE")), st.sampled_from(TAILS), st.sampled_from(TYPES)
    ),
)
usual = {"fieldManager": "me"}
sent = st.builds(
    lambda way, *rest: Sent(*way, *rest),
    ways,
    st.sampled_from(sorted(FILLED)),
    st.just(usual) | st.just(usual) | queries,
    st.just("") | st.just("") | accepts,
    st.none() | values | st.lists(operations, max_size=3),
    st.just([])
    | st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(SNIPPETS + VALUES)), max_size=2),
)


def spoiled(data: bytes, cuts: list[tuple[float, int, bytes]]) -> bytes:
    for place, length, piece in cuts:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + length :]
    return data


def body_of(one: Sent, catalog: Catalog) -> bytes:
    kind = KINDS.get(one.path.rpartition("/")[2], "ControllerRevision")
    version = "apps/v1" if "/apps/" in one.path else "v1"
    metadata = {"generateName": "new-"} if one.method == "POST" else {"name": "there"}
    if one.change is not None:
        data = orjson.dumps(one.change)
    else:
        obj = {"kind": kind, "apiVersion": version, "metadata": metadata, **FILLED[one.path]}
        data = Protobuf(catalog).encode(obj) if one.media == PROTOBUF else orjson.dumps(obj)
    return spoiled(data, one.cuts)


class Server:
    """A server's resource handler, with one object of each kind in it."""

    def __init__(self, kernel: Kernel) -> None:
        registry = kernel.find(Reader)  # type: ignore[type-abstract]  # a contract, found by its type
        assert isinstance(registry, Registry)
        self.registry = registry
        self.catalog = kernel.find(Catalog)
        self.handler = ResourceHandler(kernel, self.catalog, registry)

    async def fill(self) -> None:
        await self.send("POST", "/api/v1/namespaces/default/serviceaccounts", {}, {"metadata": {"name": "default"}})
        for path, content in FILLED.items():
            code = await self.send("POST", path, {}, {"metadata": {"name": "there"}, **content})
            assert code == 201

    async def send(
        self, method: str, path: str, query: dict[str, str], body: Any, media: str = JSON, accept: str = ""
    ) -> int:
        """The answer's code. Raises whatever isn't a refusal."""
        _, _, _, info = parse_target(method, path)
        if method == "GET" and "watch" in query and not info.name:
            info = parse_target(method, f"{path}?watch=1")[3]
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        asked = faults.Asked(method, info.resource, info.subresource, query, media, self.read(data, media))
        headers = {"content-type": media, "accept": accept}
        try:
            response = await self.handler(Request(method, path, query, headers, data, info, ADMIN, {}))
        except StatusError as error:
            orjson.dumps(error.status())
            if error.code >= 500 and not faults.known(asked, error.code, error.reason, error.message):
                raise
            return error.code
        if not isinstance(response.body, bytes | list):
            async with response.body as stream:  # type: ignore[union-attr]  # a watch's, here
                with trio.move_on_after(0):
                    await stream.next()
        return response.status

    def read(self, data: bytes, media: str) -> Any:
        """A body, for the list of faults that are known."""
        if media not in (YAML, PROTOBUF) or not data:
            return faults.body_of(data)
        try:
            return load_yaml(data) if media == YAML else Protobuf(self.catalog).decode(data)
        except ValueError:
            return faults.UNREADABLE

    async def try_all(self, requests: list[Sent]) -> None:
        await self.fill()
        bus = self.registry.bus
        for one in requests:
            before = bus.revision
            body = body_of(one, self.catalog)
            code = await self.send(one.method, one.path + one.tail, one.query, body, one.media, one.accept)
            if code >= 400 or one.method == "GET" or "dryRun" in one.query:
                assert bus.revision == before, (one, body, code)


async def run(requests: list[Sent]) -> None:
    async with run_cluster("api") as cluster:
        await Server(cluster.kernel).try_all(requests)


@settings(
    max_examples=settings.default.max_examples // 3,
    suppress_health_check=[HealthCheck.large_base_example, HealthCheck.too_slow],
)
@given(st.lists(sent, min_size=40, max_size=40))
def test_any_request_is_answered_or_refused_and_a_refusal_writes_nothing(requests: list[Sent]) -> None:
    trio.run(run, requests)


@given(st.sampled_from((JSON, YAML)), st.binary(max_size=80) | values.map(orjson.dumps), st.data())
def test_any_body_is_read_or_unreadable(media: str, data: bytes, more: st.DataObject) -> None:
    cuts = more.draw(
        st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(SNIPPETS + VALUES)), max_size=4)
    )
    body = WebBody(spoiled(data, cuts), media, None)  # type: ignore[arg-type]  # there is no protobuf in it
    with suppress(Unreadable):
        found = body.read()
        assert orjson.loads(orjson.dumps(found)) == found


@given(values)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    data = orjson.dumps(value)
    assert WebBody(data, JSON, None).read() == orjson.loads(data)  # type: ignore[arg-type]  # as above


def test_halves_of_characters_are_replaced_and_whole_ones_kept() -> None:
    data = rb'{"\ud800a": "\udc00", "b": ["\ud83d\ude00", "\u00e9", 1.5, 12345678901234567890123]}'
    found = WebBody(data, JSON, None).read()  # type: ignore[arg-type]  # as above
    assert found == {"\ufffda": "\ufffd", "b": ["\U0001f600", "é", 1.5, 12345678901234567890123.0]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"- " * 100_000, "yaml: exceeded max depth of 200"),
        (b"{a: " * 201 + b"}" * 201, "yaml: exceeded max depth of 200"),
        (b"a: &a [*a]", "yaml: anchor value contains itself"),
        (
            b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
            "yaml: document contains excessive aliasing",
        ),
    ],
)
def test_yaml_that_would_take_the_server_down_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_yaml(data)


def test_what_is_nested_too_deep_to_be_answered_is_refused() -> None:
    for depth in (199, 200):
        assert WebBody(b"[" * depth + b"]" * depth, JSON, None).read()  # type: ignore[arg-type]  # as above
    for depth in (201, 254, 255, 1024, 1025, 9_000):
        with pytest.raises(Unreadable, match="exceeded max depth"):
            WebBody(b"[" * depth + b"]" * depth, JSON, None).read()  # type: ignore[arg-type]  # as above


def test_patches_cannot_nest_an_object_deeper_either() -> None:
    path = "/apis/apps/v1/namespaces/default/controllerrevisions"
    deeper = [{"op": "copy", "from": "/metadata/annotations", "path": "/metadata/annotations/x"}] * 3

    async def main() -> None:
        async with run_cluster("api") as cluster:
            server = Server(cluster.kernel)
            nested: Any = 1
            for _ in range(190):
                nested = {"a": nested}
            assert (
                await server.send("POST", path, {}, {"metadata": {"name": "deep"}, "revision": 1, "data": nested})
                == 201
            )
            before = server.registry.bus.revision
            patch: Any = [{"op": "copy", "from": "/data", "path": "/metadata/x"}]
            patch += [{"op": "copy", "from": "/metadata", "path": "/metadata/x" + "/x" * n} for n in range(1, 90)]
            assert await server.send("PATCH", f"{path}/deep", {}, patch, "application/json-patch+json") in (400, 422)
            assert await server.send("PATCH", f"{path}/deep", {}, deeper, "application/json-patch+json") in (400, 422)
            assert server.registry.bus.revision == before
            for accept in ("application/json;as=Table;g=meta.k8s.io;v=v1", YAML, JSON):
                assert await server.send("GET", path, {"includeObject": "Object"}, b"", JSON, accept) == 200

    trio.run(main)


@given(
    st.text(max_size=40)
    | st.builds(lambda rv, start: Token(start, rv).encode(), st.integers(-9, 9), st.text(max_size=9))
)
def test_any_token_is_understood_or_refused(text: str) -> None:
    token, refusal = outcome(lambda: Token.decode(text))
    if refusal is None:
        assert Token.decode(token.encode()) == token
        assert not {".", ".."} & set(token.start.split("/"))
    else:
        assert refusal.code == 400
        assert refusal.message.startswith("invalid continue token: continue key is not valid")


@given(st.text(max_size=30) | st.sampled_from(WORDS), queries, st.booleans())
def test_any_options_are_understood_or_refused(text: str, query: dict[str, str], watch: bool) -> None:
    for read in (lambda: revision(text), lambda: integer({"limit": text}, "limit"), lambda: list_options(query, watch)):
        _, refusal = outcome(read)
        assert refusal is None or refusal.code in (400, 422)


@pytest.mark.parametrize("parameters", ["", ";", "; ", "; charset=utf-8", ' ;a=b; c="d;\\""; '])
def test_a_media_type_may_have_parameters(parameters: str) -> None:
    assert media_type(f"Application/JSON{parameters}") == JSON


@pytest.mark.parametrize("parameters", ["; charset", ";;a=b", ";a=", ';a="b', "; a b"])
def test_a_media_type_with_broken_parameters_is_none(parameters: str) -> None:
    _, refusal = outcome(lambda: media_type(JSON + parameters))
    assert refusal is not None
    assert refusal.code == 415


@given(accepts)
def test_any_accept_header_is_served_or_not_acceptable(accept: str) -> None:
    form, refusal = outcome(lambda: representation({"accept": accept}, {}))
    assert refusal.code == 406 if refusal else form.media in (JSON, YAML, PROTOBUF)


@pytest.fixture(scope="module")
def protobuf() -> Protobuf:
    return Protobuf(Catalog(load_groups("kubrick_api_core")))


@given(st.binary(max_size=60))
def test_protobuf_that_is_none_is_unreadable(protobuf: Protobuf, data: bytes) -> None:
    for start in (b"", MAGIC, MAGIC + b"\x0a\x09\x0a\x02v1\x12\x03Pod\x12" + bytes((len(data),))):
        with suppress(Unreadable):
            WebBody(start + data, PROTOBUF, protobuf).read()


def outcome(read: Callable[[], Any]) -> tuple[Any, StatusError | None]:
    """What `read` returns, or its refusal."""
    try:
        return read(), None
    except StatusError as error:
        return None, error
