"""What the agent serves: which log, who may ask, the paths, and the process runtime that stands behind tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from kubrick_api.errors import StatusError
from kubrick_api_core.agents import Target
from kubrick_http import Response
from kubrick_http.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT
from kubrick_http.remotecommand import Session, Streams
from kubrick_kernel import SystemClock
from kubrick_node.runtime import ContainerSpec, ContainerState, PodState, PodStats, Traffic, Usage
from kubrick_node.serving import choice, figures
from kubrick_node.serving.access import AgentAccess
from kubrick_node.serving.paths import AgentPaths
from kubrick_node.serving.service import PodService
from kubrick_node.testing import ProcessRuntime
from kubrick_node.testing.runtime import CHECKS, Subject
from kubrick_testing import Cluster, run_cluster

Object = dict[str, Any]
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def pod_of(*command: str, name: str = "web", **more: Any) -> Object:
    container = {"name": "main", "image": "none", "command": list(command), **more}
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return {"metadata": metadata, "spec": {"containers": [container]}}


def state(*containers: ContainerState, previous: tuple[ContainerState, ...] = ()) -> PodState:
    return PodState("s", True, (), containers, previous)


def container(how: str, name: str = "main", number: str = "1") -> ContainerState:
    return ContainerState(name, number, "i", "i", how)


def with_waiting(reason: str | None) -> Object:
    waiting = {"waiting": {"reason": reason} if reason else {}}
    return {**pod_of("x"), "status": {"containerStatuses": [{"name": "main", "state": waiting}]}}


@pytest.mark.parametrize("how", ["running", "exited"])
def test_the_log_is_that_of_the_latest_container(how: str) -> None:
    assert (
        choice.logged(pod_of("x"), state(container(how, number="2"), previous=(container("exited"),)), "main", False)
        == "2"
    )


def test_the_previous_log_is_that_of_the_one_before() -> None:
    there = state(container("running", number="2"), previous=(container("exited"),))
    assert choice.logged(pod_of("x"), there, "main", True) == "1"
    with pytest.raises(StatusError, match='previous terminated container "main" in pod "web" not found'):
        choice.logged(pod_of("x"), state(container("running")), "main", True)


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("ContainerCreating", "is waiting to start: ContainerCreating"),
        ("ErrImagePull", "is waiting to start: image can't be pulled"),
        ("ImagePullBackOff", "is waiting to start: trying and failing to pull image"),
        (None, "is waiting to start - no logs yet"),
    ],
)
def test_a_container_that_waits_has_no_log_and_says_why(reason: str | None, why: str) -> None:
    with pytest.raises(StatusError) as caught:
        choice.logged(with_waiting(reason), state(), "main", False)
    assert caught.value.code == 400
    assert caught.value.message == f'container "main" in pod "web" {why}'


def test_a_container_nobody_has_heard_of_is_not_available() -> None:
    with pytest.raises(StatusError, match='container "main" in pod "web" is not available'):
        choice.logged(pod_of("x"), state(), "main", False)


def test_exec_wants_a_running_container() -> None:
    with pytest.raises(StatusError, match="container not found"):
        choice.running(state(), "main")
    with pytest.raises(StatusError, match="is not running: it has exited"):
        choice.running(state(container("exited")), "main")


def test_log_options_are_read_as_a_kubelet_does() -> None:
    options = choice.log_options({"sinceSeconds": "60", "tailLines": "5", "follow": "true", "stream": "Stderr"}, NOW)
    assert options.since == datetime(2029, 12, 31, 23, 59, tzinfo=UTC)
    assert (options.tail_lines, options.follow, options.stream) == (5, True, "Stderr")
    for params in ({"tailLines": "many"}, {"sinceTime": "yesterday"}, {"stream": "Stdin"}):
        with pytest.raises(StatusError):
            choice.log_options(params, NOW)


def test_figures_add_up() -> None:
    stats = PodStats((("a", Usage(2_000_000_000, 10, 7)), ("b", Usage(1_000_000_000, 20, 8))))
    told = figures.summary("here", [(pod_of("x"), stats)], NOW)
    assert told["pods"][0]["cpu"]["usageCoreNanoSeconds"] == 3_000_000_000
    assert told["node"]["memory"]["workingSetBytes"] == 15
    text = figures.resource_metrics([(pod_of("x"), stats)])
    assert 'container_cpu_usage_seconds_total{container="a",namespace="default",pod="web"} 2.0' in text
    assert "node_memory_working_set_bytes 15" in text
    assert 'pod_cpu_usage_seconds_total{namespace="default",pod="web"} 3.0' in text


def test_figures_have_cadvisors_names_too() -> None:
    stats = PodStats((("a", Usage(2_000_000_000, 10, 7, page_faults=4)),), (Traffic("eth0", 5, 0, 6, 0),))
    text = figures.cadvisor_metrics([(pod_of("x"), stats)])
    assert 'container_memory_usage_bytes{container="a",namespace="default",pod="web"} 10' in text
    faults = '{container="a",failure_type="pgfault",namespace="default",pod="web",scope="container"} 4'
    assert f"container_memory_failures_total{faults}" in text
    received = 'container_network_receive_bytes_total{interface="eth0",namespace="default",pod="web"} 5'
    assert received in text.splitlines()
    assert text.count("# TYPE container_cpu_usage_seconds_total counter") == 1


# The process runtime


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(directory, SystemClock())
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        yield runtime
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def served(directory: Path, pod: Object) -> AsyncIterator[PodService]:
    """The service of a node where `pod` has been started."""
    async with running(directory) as runtime:
        sandbox = await runtime.run_sandbox(pod, 0)
        await runtime.start_container(ContainerSpec(pod, pod["spec"]["containers"][0], sandbox, "app", 0))
        service = PodService(lambda: [pod], runtime, SystemClock())
        AgentPaths("here", service, SystemClock(), {"port": 10250})
        yield service


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_process_runtime_keeps_the_contract(check: Any, tmp_path: Path) -> None:
    def living(name: str) -> Object:
        return pod_of("sh", "-c", "trap exit TERM; while true; do sleep 0.05; done", name=name)

    def ending(name: str, code: int) -> Object:
        return pod_of("sh", "-c", f"sleep 0.2; exit {code}", name=name)

    with trio.fail_after(30):
        async with running(tmp_path) as runtime:
            await check(Subject(runtime, living, ending))


TARGET = Target("default", "web", "main")


async def output(session: Session) -> dict[int, bytes]:
    found: dict[int, bytes] = {STDOUT: b"", STDERR: b"", ERROR: b""}
    while (piece := await session.receive()) is not None:
        found[piece[0]] += piece[1]
        if piece[0] == ERROR:
            break
    return found


async def test_a_command_has_its_streams_and_its_exit_code(tmp_path: Path) -> None:
    async with served(tmp_path, pod_of("sleep", "60")) as service:
        wanted = Streams(stdin=True)
        with trio.fail_after(20):
            async with service.exec(TARGET, ["sh", "-c", "cat; echo no >&2; exit 9"], wanted) as session:
                await session.send(STDIN, b"hello")
                await session.close_stdin()
                found = await output(session)
    assert (found[STDOUT], found[STDERR]) == (b"hello", b"no\n")
    assert orjson.loads(found[ERROR])["details"]["causes"][0]["message"] == "9"


async def test_a_terminal_is_resized(tmp_path: Path) -> None:
    async with served(tmp_path, pod_of("sleep", "60")) as service:
        wanted = Streams(stdin=True, stderr=False, tty=True)
        resized = "until [ $(stty size | cut -d' ' -f1) = 40 ]; do sleep 0.05; done; stty size"
        with trio.fail_after(20):
            async with service.exec(TARGET, ["sh", "-c", resized], wanted) as session:
                await session.send(RESIZE, b'{"Width":120,"Height":40}')
                found = await output(session)
    assert b"40 120" in found[STDOUT]


async def test_leaving_a_session_ends_its_command(tmp_path: Path) -> None:
    async with served(tmp_path, pod_of("sleep", "60")) as service:
        with trio.fail_after(20):
            async with service.exec(TARGET, ["sh", "-c", "echo $$; sleep 60"], Streams()) as session:
                piece = await session.receive()
                assert piece is not None
                process = int(piece[1])
            while Path(f"/proc/{process}/status").exists():  # noqa: ASYNC110
                await trio.sleep(0.02)


async def test_an_agent_answers_its_own_paths(tmp_path: Path) -> None:
    async with served(tmp_path, pod_of("sleep", "60")) as service:

        async def get(path: str) -> tuple[int, bytes]:
            response: Response = await service.request("GET", path, {}, b"")
            assert isinstance(response.body, bytes)
            return response.status, response.body

        assert await get("/healthz") == (200, b"ok")
        pods = orjson.loads((await get("/pods"))[1])
        assert [pod["metadata"]["name"] for pod in pods["items"]] == ["web"]
        assert orjson.loads((await get("/stats/summary"))[1])["node"]["nodeName"] == "here"
        assert b"kubelet_running_pods" in (await get("/metrics"))[1]
        assert b"container_memory_rss" in (await get("/metrics/cadvisor"))[1]
        assert b"resource_scrape_error 0" in (await get("/metrics/resource"))[1]
        assert orjson.loads((await get("/configz"))[1]) == {"kubeletconfig": {"port": 10250}}
        assert await get("/run/default/web/main?cmd=echo&cmd=hi") == (200, b"hi\n")
        assert (await get("/nothing"))[0] == 404
        with pytest.raises(StatusError, match="Upgrade request required"):
            await get("/exec/default/web/main?command=true&output=1")
        with pytest.raises(StatusError, match="at least 1 of"):
            await get("/exec/default/web/main?command=true")
        with pytest.raises(StatusError, match='pod "gone" not found'):
            await get("/run/default/gone/main?cmd=true")


# Who may ask


@asynccontextmanager
async def door() -> AsyncIterator[tuple[Cluster, AgentAccess]]:
    async with run_cluster("api") as cluster:
        yield cluster, AgentAccess("node-1", cluster.client)


async def allow(cluster: Cluster, user: str, *resources: str) -> None:
    """Bind `user` to a role over these resources."""
    from kubrick_api_rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES

    rules = [{"apiGroups": [""], "resources": list(resources), "verbs": ["get"]}]
    await cluster.client.create(CLUSTER_ROLES, {"metadata": {"name": user}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    body = {"metadata": {"name": user}, "roleRef": reference, "subjects": [subject]}
    await cluster.client.create(CLUSTER_ROLE_BINDINGS, body)


async def token_of(cluster: Cluster) -> str:
    from kubrick_api_core import SERVICE_ACCOUNTS

    await cluster.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "reader"}}, "default")
    request = {"spec": {"audiences": []}}
    made = await cluster.client.create(SERVICE_ACCOUNTS, request, "default", subresource="token", name="reader")
    token: str = made["status"]["token"]
    return token


async def test_nobody_without_credentials_is_let_in(autojump_clock: trio.testing.MockClock) -> None:
    async with door() as (_, access):
        for authorization in ("", "Bearer nonsense", "Basic x"):
            with pytest.raises(StatusError) as caught:
                await access.check(None, authorization, "GET", "/pods")
            assert caught.value.code == 401


async def test_a_token_opens_what_its_account_may(autojump_clock: trio.testing.MockClock) -> None:
    async with door() as (cluster, access):
        token = await token_of(cluster)
        with pytest.raises(StatusError) as caught:
            await access.check(None, f"Bearer {token}", "GET", "/metrics")
        assert caught.value.code == 403
        assert "user=system:serviceaccount:default:reader, verb=get" in caught.value.message
        await allow(cluster, "system:serviceaccount:default:reader", "nodes/metrics")
        await trio.sleep(60)  # refusals are remembered half a minute
        assert (await access.check(None, f"Bearer {token}", "GET", "/metrics")).name.endswith("reader")
        with pytest.raises(StatusError, match="subresource"):
            await access.check(None, f"Bearer {token}", "POST", "/exec/default/web/main")


async def test_the_proxy_permission_opens_the_fine_grained_paths(autojump_clock: trio.testing.MockClock) -> None:
    async with door() as (cluster, access):
        token = await token_of(cluster)
        await allow(cluster, "system:serviceaccount:default:reader", "nodes/proxy")
        await access.check(None, f"Bearer {token}", "GET", "/pods")
