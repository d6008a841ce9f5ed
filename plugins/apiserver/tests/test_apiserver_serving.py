"""A whole server on a real port: TLS, who may do what, health, limits, draining."""

import gzip
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import define

from kubrick_api.storage import UserInfo
from kubrick_apiserver import pki
from kubrick_apiserver.access import AccessControl
from kubrick_apiserver.server import APIServer
from kubrick_apiserver.tls import server_context
from kubrick_apiserver.web import Request, Response
from kubrick_kernel import Composition, ConfigurationError, Kernel, SystemClock

TOKENS = """\
alice-token,alice,1,"developers,testers"
bob-token,bob,2
admin-token,root,3,system:masters
"""


@define
class Served:
    """A running server and ways to reach it."""

    kernel: Kernel
    data_dir: Path
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def context(self, certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.data_dir / "pki" / "ca.crt")
        if certificate:
            context.load_cert_chain(self.data_dir / "pki" / "admin.crt", self.data_dir / "pki" / "admin.key")
        return context

    def client(self, token: str = "", certificate: bool = False) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, verify=self.context(certificate), headers=headers, timeout=10)


@asynccontextmanager
async def served(data_dir: Path, disable: tuple[str, ...] = (), **settings: Any) -> AsyncIterator[Served]:
    tokens = data_dir / "tokens.csv"
    tokens.write_text(TOKENS)
    settings = {"listen": "127.0.0.1:0", "token_file": str(tokens), **settings}
    composition = Composition(profile="api", disable=disable, store="memory", plugins={"apiserver": settings})
    kernel = Kernel(composition, data_dir=data_dir, seed=1)
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        yield Served(kernel, data_dir, kernel.announcements["server"])
        kernel.shutdown()


async def test_a_client_certificate_makes_an_administrator(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client(certificate=True) as client:
        answer = await client.get("/api/v1/namespaces")
        names = [item["metadata"]["name"] for item in answer.json()["items"]]
        assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
        who = await client.get("/api/v1/namespaces/default", headers={"Impersonate-User": "bob"})
        assert who.json()["message"] == (
            'namespaces "default" is forbidden: User "bob" cannot get resource "namespaces" in API group "" '
            'in the namespace "default"'
        )


async def test_a_token_makes_its_user(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("bob-token") as client:
        answer = await client.get("/api/v1/namespaces/default/pods")
        assert answer.status_code == 403
        assert answer.json() == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'pods is forbidden: User "bob" cannot list resource "pods" in API group "" '
            'in the namespace "default"',
            "reason": "Forbidden",
            "details": {"kind": "pods"},
            "code": 403,
        }
    async with served(tmp_path) as server, server.client("admin-token") as client:
        assert (await client.get("/api/v1/namespaces/default/pods")).status_code == 200


async def test_an_unknown_token_is_unauthorized(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("stolen") as client:
        answer = await client.get("/version")
        assert answer.status_code == 401
        assert answer.json() == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Unauthorized",
            "reason": "Unauthorized",
            "code": 401,
        }


async def test_without_credentials_one_is_anonymous_and_sees_public_paths_only(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client() as client:
        for path in ("/healthz", "/livez", "/readyz", "/version"):
            assert (await client.get(path)).status_code == 200, path
        refused = await client.get("/metrics")
        assert refused.status_code == 403
        assert refused.json()["message"] == 'forbidden: User "system:anonymous" cannot get path "/metrics"'
        pods = await client.get("/api/v1/pods")
        assert pods.json()["message"] == (
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
            "at the cluster scope"
        )


async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with served(tmp_path / "two") as other:
        stranger = other.data_dir / "pki"
        async with served(tmp_path / "one") as server:
            context = server.context()
            context.load_cert_chain(stranger / "admin.crt", stranger / "admin.key")
            async with httpx.AsyncClient(base_url=server.url, verify=context) as client:
                with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
                    await client.get("/version")
            async with server.client() as client:
                assert (await client.get("/version")).status_code == 200


async def test_impersonation_needs_permission_for_every_claim(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("alice-token") as client:
        refused = await client.get("/version", headers={"Impersonate-User": "bob"})
        assert refused.json()["message"] == (
            'users "bob" is forbidden: User "alice" cannot impersonate resource "users" in API group "" '
            "at the cluster scope"
        )
        async with server.client("admin-token") as admin:
            await _grant(
                admin, "impersonator", "alice", [{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}]
            )
        assert (await client.get("/version", headers={"Impersonate-User": "bob"})).status_code == 200
        refused = await client.get(
            "/version", headers={"Impersonate-User": "bob", "Impersonate-Group": "system:masters"}
        )
        assert 'cannot impersonate resource "groups"' in refused.json()["message"]
        account = {"Impersonate-User": "system:serviceaccount:kube-system:x"}
        refused = await client.get("/version", headers=account)
        assert 'resource "serviceaccounts" in API group "" in the namespace "kube-system"' in refused.json()["message"]
        senseless = await client.get("/version", headers={"Impersonate-Group": "x"})
        assert senseless.status_code == 500


async def _grant(admin: httpx.AsyncClient, name: str, user: str, rules: list[dict[str, Any]]) -> None:
    """A ClusterRole with `rules`, bound to `user`."""
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    answer = await admin.post(f"/apis/{group}/v1/clusterroles", json=role)
    assert answer.status_code == 201, answer.text
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    answer = await admin.post(f"/apis/{group}/v1/clusterrolebindings", json=binding)
    assert answer.status_code == 201, answer.text


async def test_nobody_grants_more_than_they_have(tmp_path: Path) -> None:
    group = "rbac.authorization.k8s.io"
    async with served(tmp_path) as server, server.client("admin-token") as admin, server.client("bob-token") as bob:
        everything = {"apiGroups": [group], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]}
        await _grant(
            admin, "grantor", "bob", [everything, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
        )
        role = {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        }
        roles = f"/apis/{group}/v1/namespaces/default/roles"
        assert (await bob.post(roles, json=role)).status_code == 201
        role["metadata"] = {"name": "writer"}
        role["rules"] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "create", "delete"]}]
        refused = await bob.post(roles, json=role)
        assert refused.status_code == 403
        assert refused.json()["message"] == (
            'roles.rbac.authorization.k8s.io "writer" is forbidden: user "bob" (groups=["system:authenticated"]) is '
            "attempting to grant RBAC permissions not currently held:\n"
            '{APIGroups:[""], Resources:["pods"], Verbs:["create" "delete"]}'
        )
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "x"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "eve"}],
        }
        bindings = f"/apis/{group}/v1/namespaces/default/rolebindings"
        assert (await bob.post(bindings, json=binding)).status_code == 403
        await _grant(admin, "binder", "bob", [{"apiGroups": [group], "resources": ["clusterroles"], "verbs": ["bind"]}])
        assert (await bob.post(bindings, json=binding)).status_code == 201


async def test_a_binding_counts_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("admin-token") as admin, server.client("bob-token") as bob:
        for number in range(5):
            rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
            await _grant(admin, f"lister-{number}", "bob", rules)
            assert (await bob.get("/api/v1/pods")).status_code == 200
            await admin.delete(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/lister-{number}")
            assert (await bob.get("/api/v1/pods")).status_code == 403


async def test_aggregated_roles_hold_what_they_aggregate(tmp_path: Path) -> None:
    group = "rbac.authorization.k8s.io"
    async with served(tmp_path) as server, server.client("admin-token") as admin, server.client("bob-token") as bob:
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "edit"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "bob"}],
        }
        answer = await admin.post(f"/apis/{group}/v1/namespaces/default/rolebindings", json=binding)
        assert answer.status_code == 201
        assert (await bob.get("/api/v1/namespaces/default/configmaps")).status_code == 200
        assert (await bob.get("/api/v1/namespaces/kube-system/configmaps")).status_code == 403
        assert (await bob.get("/api/v1/configmaps")).status_code == 403


async def test_health_is_told_in_kubernetes_words(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("admin-token") as client:
        short = await client.get("/readyz")
        assert short.text == "ok"
        assert short.headers["content-type"] == "text/plain; charset=utf-8"
        verbose = await client.get("/livez?verbose&exclude=etcd&exclude=nothing")
        lines = verbose.text.splitlines()
        assert lines[0] == "[+]ping ok"
        assert lines[-2:] == [
            'warn: some health checks cannot be excluded: no matches for "nothing"',
            "livez check passed",
        ]
        assert {
            "[+]etcd excluded: ok",
            "[+]poststarthook/start-system-namespaces-controller ok",
            "[+]poststarthook/bootstrap-controller ok",
            "[+]poststarthook/rbac/bootstrap-roles ok",
            "[+]poststarthook/scheduling/bootstrap-system-priority-classes ok",
        } < set(lines)
        assert (await client.get("/readyz/etcd")).text == "ok"
        assert (await client.get("/readyz/poststarthook/rbac/bootstrap-roles")).text == "ok"
        assert (await client.get("/readyz/nonsense")).status_code == 404
        server.kernel.find(APIServer).health.draining = True
        failed = await client.get("/readyz")
        assert failed.status_code == 500
        assert failed.text.endswith("[-]shutdown failed: reason withheld\nreadyz check failed\n")
        assert (await client.get("/livez")).status_code == 200


async def test_metrics_count_requests_by_what_they_asked_for(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("admin-token") as client:
        await client.get("/api/v1/namespaces/default/pods")
        await client.get("/apis/nonsense/v1/widgets")
        text = (await client.get("/metrics")).text
        labels = 'component="apiserver",dry_run="",group="",resource="pods",scope="namespace",subresource=""'
        assert f'apiserver_request_total{{code="200",{labels},system_client="",verb="LIST",version="v1"}} 1.0' in text
        assert 'apiserver_current_inflight_requests{request_kind="readOnly"} 1.0' in text
        assert 'apiserver_storage_objects{resource="namespaces"} 4.0' in text
        assert "apiserver_response_sizes_bucket" in text
        assert "process_resident_memory_bytes" in text
        assert "widgets" not in text
        index = (await client.get("/")).json()["paths"]
        assert {"/api/v1", "/apis/apps/v1", "/healthz", "/metrics", "/readyz/ping"} <= set(index)


async def test_every_answer_has_an_audit_id_and_must_not_be_cached(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client() as client:
        one, two = await client.get("/version"), await client.get("/version")
        assert one.headers["audit-id"] != two.headers["audit-id"]
        assert one.headers["cache-control"] == "no-cache, private"
        given = await client.get("/version", headers={"Audit-Id": "mine"})
        assert given.headers["audit-id"] == "mine"


async def test_a_body_over_the_limit_is_413_and_one_below_is_read(tmp_path: Path) -> None:
    async with served(tmp_path, max_request_bytes=300_000) as server, server.client("admin-token") as client:
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "big"},
            "data": {"x": "y" * 200_000},
        }
        url = "/api/v1/namespaces/default/configmaps"
        assert (await client.post(url, json=config_map)).status_code == 201
        config_map["data"] = {"x": "y" * 400_000}
        refused = await client.post(url, json=config_map)
        assert refused.status_code == 413
        assert refused.json() == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Request entity too large: limit is 300000",
            "reason": "RequestEntityTooLarge",
            "code": 413,
        }


async def test_large_answers_are_compressed_for_those_who_accept_it(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("admin-token") as client:
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "big"},
            "data": {"x": "y" * 200_000},
        }
        await client.post("/api/v1/namespaces/default/configmaps", json=config_map)
        url = "/api/v1/namespaces/default/configmaps/big"
        async with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert len(raw) < 10_000
        assert b'"big"' in gzip.decompress(raw)
        plain = await client.get(url, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        small = await client.get("/version", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in small.headers


async def test_shutting_down_ends_watches_cleanly_and_closes_the_port(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("admin-token") as client:
        async with client.stream("GET", "/api/v1/namespaces?watch=true&resourceVersion=0") as answer:
            lines = answer.aiter_lines()
            assert '"ADDED"' in await anext(lines)
            server.kernel.shutdown()
            rest = [line async for line in lines]
            assert all('"ADDED"' in line for line in rest if line)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError):
            await trio.open_tcp_stream("127.0.0.1", server.port)


async def test_too_many_requests_at_once_are_turned_away(tmp_path: Path) -> None:
    async with served(tmp_path, ("flow-control",), max_requests_inflight=0) as server:
        async with server.client("bob-token") as client:
            refused = await client.get("/version")
            assert (refused.status_code, refused.text) == (429, "Too many requests, please try again later.\n")
            assert refused.headers["retry-after"] == "1"
        async with server.client("admin-token") as admin:
            assert (await admin.get("/version")).status_code == 200


async def test_a_bug_in_a_handler_is_a_500_and_the_server_lives_on(tmp_path: Path) -> None:
    async with served(tmp_path) as server, server.client("admin-token") as client:

        async def broken(request: Request) -> Response:
            raise ZeroDivisionError

        filters = server.kernel.find(APIServer).filters
        filters._handler, handler = broken, filters._handler
        answer = await client.get("/version")
        assert answer.status_code == 500
        assert answer.json()["reason"] == "InternalError"
        filters._handler = handler
        assert (await client.get("/version")).status_code == 200


@pytest.mark.parametrize(("timeout", "code"), [("32s", 200), ("1m30s", 200), ("0", 200), ("soon", 400)])
async def test_the_timeout_parameter_must_be_a_duration(tmp_path: Path, timeout: str, code: int) -> None:
    async with served(tmp_path) as server, server.client("admin-token") as client:
        assert (await client.get(f"/api/v1/namespaces?timeout={timeout}")).status_code == code


async def test_certificates_and_kubeconfig_are_private_and_stay(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        assert server.kernel.announcements["kubeconfig"] == str(tmp_path / "admin.kubeconfig")
        assert stat.S_IMODE((tmp_path / "admin.kubeconfig").stat().st_mode) == 0o600
        before = {path.name: path.read_bytes() for path in (tmp_path / "pki").iterdir()}
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (tmp_path / "pki").iterdir())
    async with served(tmp_path):
        assert before == {path.name: path.read_bytes() for path in (tmp_path / "pki").iterdir()}


async def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises((ConfigurationError, BaseExceptionGroup)) as caught:
            async with served(tmp_path, listen=address):
                pass
        error: BaseException = caught.value
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert str(error) == (
            f"apiserver: cannot listen on {address}: another program is using this port: stop it, or choose another "
            "with --listen HOST:PORT"
        )


async def test_a_client_that_speaks_no_tls_is_dropped(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        while await stream.receive_some():
            pass
        await stream.aclose()
        async with server.client() as client:
            assert (await client.get("/version")).status_code == 200


async def test_only_masters_pass_without_authorizers() -> None:
    control = AccessControl()
    assert control.rules(UserInfo("x", groups=("system:masters",)), "").resource_rules[0]["verbs"] == ["*"]
    assert control.rules(UserInfo("system:apiserver"), "").resource_rules == []


def test_a_certificate_and_a_key_that_do_not_fit_are_one_clear_line(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, ["localhost"], "https://localhost:1", SystemClock().now())
    made.serving[1].write_bytes((made.directory / "admin.key").read_bytes())
    with pytest.raises(ConfigurationError, match=r"apiserver\.key cannot be used: KEY_VALUES_MISMATCH; move them away"):
        server_context(made)
    (made.directory / "ca.key").write_text("no key")
    made.serving[0].unlink()
    with pytest.raises(ConfigurationError, match=r"cannot be read: .*; move it away to have a new one made"):
        pki.ensure(tmp_path, ["localhost"], "https://localhost:1", SystemClock().now())
