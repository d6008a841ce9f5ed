"""A server under flow control: what clients see, in virtual time and without sockets."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, field

from kubrick_api.errors import StatusError
from kubrick_api.storage import UserInfo
from kubrick_api_flowcontrol import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS
from kubrick_api_rbac import CLUSTER_ROLE_BINDINGS
from kubrick_apiserver.server import APIServer
from kubrick_apiserver.web import Request, Response
from kubrick_flow_control.control import Control
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_kernel import TrioClock
from kubrick_testing import Cluster, run_cluster

SMALL = {"apiserver": {"max_requests_inflight": 20, "max_mutating_requests_inflight": 10}}
PODS = "/api/v1/namespaces/default/pods"


@define
class Connection:
    certificate: bytes | None = None
    deadline: float = 0.0
    peer: str = "192.0.2.7"
    pulse: Pulse = field(factory=lambda: Pulse(TrioClock()))


class Front:
    """Requests through the server's filters, as whoever. What is answered, `handle` decides."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.filters = cluster.kernel.find(APIServer).filters
        self.served: list[str] = []
        self.handler: Any = self.filters._handler
        self.connection = Connection()

    def answer_by(self, handler: Callable[[Request], Coroutine[Any, Any, Response]]) -> None:
        self.filters._handler = handler  # type: ignore[assignment]  # a function will do

    async def work(self, request: Request) -> Response:
        """A second's work."""
        self.served.append(request.user.name)
        await trio.sleep(1.0)
        return Response(200)

    async def __call__(self, user: str, method: str = "GET", target: str = PODS, *groups: str) -> Response:
        headers = {"host": "x", "impersonate-user": user}
        lists = {"impersonate-group": groups} if groups else {}
        if groups:
            headers["impersonate-group"] = groups[-1]
        message = Message(method, target, headers, b"", True, header_lists=lists)
        return await self.filters(message, self.connection)


async def front_of(cluster: Cluster) -> Front:
    """Everybody is who they say they are, and may do everything."""
    front = Front(cluster)
    filters = front.filters

    async def identify(credentials: Any) -> UserInfo:
        return UserInfo("root", groups=("system:masters", "system:authenticated"))

    filters._authentication.identify = identify  # type: ignore[method-assign]  # nobody has a certificate here
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "everybody"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}],
    }
    await cluster.client.create(CLUSTER_ROLE_BINDINGS, binding)
    return front


def header(response: Response, name: str) -> str:
    return next((value for key, value in response.headers if key.lower() == name.lower()), "")


async def test_every_answer_says_how_its_request_was_classified(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api") as cluster:
        front = await front_of(cluster)
        schema = await cluster.client.get(FLOW_SCHEMAS, "global-default")
        level = await cluster.client.get(PRIORITY_LEVEL_CONFIGURATIONS, "global-default")
        for target in (PODS, f"{PODS}/nothing", "/version"):
            response = await front("eve", "GET", target)
            assert header(response, "X-Kubernetes-PF-FlowSchema-UID") == schema["metadata"]["uid"]
            assert header(response, "X-Kubernetes-PF-PriorityLevel-UID") == level["metadata"]["uid"]
        node = await front("system:node:a", "GET", PODS, "system:nodes")
        nodes = await cluster.client.get(FLOW_SCHEMAS, "system-nodes")
        assert header(node, "X-Kubernetes-PF-FlowSchema-UID") == nodes["metadata"]["uid"]


async def test_one_users_flood_leaves_anothers_requests_fast(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", settings=SMALL) as cluster:
        front = await front_of(cluster)
        front.answer_by(front.work)
        answers: list[int] = []
        waits: list[float] = []

        async def flood() -> None:
            answers.append((await front("flood")).status)

        async def victim() -> None:
            began = trio.current_time()
            assert (await front("victim")).status == 200
            waits.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(flood)
            await trio.sleep(2.5)
            for _ in range(3):
                nursery.start_soon(victim)
            await trio.sleep(60)
        assert len(waits) == 3
        assert max(waits) < 10, waits
        # A queue lets nobody wait longer than a quarter of a minute.
        assert set(answers) == {200, 429}
        assert answers.count(200) > 30


async def test_who_waited_too_long_is_told_to_come_back(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", settings=SMALL) as cluster:
        front = await front_of(cluster)

        async def stuck(request: Request) -> Response:
            await trio.sleep(30)
            return Response(200)

        front.answer_by(stuck)
        refused: list[tuple[float, Response]] = []

        async def ask(target: str) -> None:
            response = await front("eve", "GET", target)
            if response.status != 200:
                refused.append((trio.current_time(), response))

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, "/version")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask, "/version?timeout=20s")
            nursery.start_soon(ask, f"{PODS}/x?timeout=8s")
        (early, one), (late, two) = refused
        assert early - began == pytest.approx(2.0)
        assert late - began == pytest.approx(5.0)
        for response in (one, two):
            assert (response.status, response.body) == (429, b"Too many requests, please try again later.\n")
            assert header(response, "Retry-After") == "1"
            assert header(response, "X-Kubernetes-PF-FlowSchema-UID")
        counts = cluster.kernel.find(Control).counts["global-default", "global-default"]
        assert counts.rejected == {"time-out": 2}
        assert (counts.executing, counts.queued, counts.seats) == (0, 0, 0)


async def test_who_gives_up_gives_back_the_place(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", settings=SMALL) as cluster:
        front = await front_of(cluster)
        front.answer_by(front.work)
        level = cluster.kernel.find(Control).levels["global-default"]
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(front, "eve")
            await trio.testing.wait_all_tasks_blocked()
            assert level.limit is not None
            assert (level.used, level.waiting) == (level.limit, 10 - level.limit)
            nursery.cancel_scope.cancel()
        assert (level.used, level.waiting, level.queues) == (0, 0, {})
        assert (await front("eve")).status == 200


async def test_masters_and_probes_never_wait(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", settings=SMALL) as cluster:
        front = await front_of(cluster)
        front.answer_by(front.work)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(front, "root", "GET", PODS, "system:masters")
                nursery.start_soon(front, "eve", "GET", "/livez")
        assert trio.current_time() - began == pytest.approx(1.0)


async def test_a_watch_has_seats_until_it_is_open(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api") as cluster:
        front = await front_of(cluster)
        control = cluster.kernel.find(Control)
        counts = control.counts
        response = await front("eve", "GET", f"{PODS}?watch=1")
        assert counts["global-default", "global-default"].executing == 1
        body: Any = response.body
        async with body:
            assert counts["global-default", "global-default"].executing == 0
            assert control.watchers == {("", "pods", "default"): 1}
        assert control.watchers == {}
        assert (await front("eve", "GET", "/api/v1/nonsense?watch=1")).status == 404
        assert counts["global-default", "global-default"].executing == 0


async def test_seats_of_a_write_are_held_while_many_watchers_are_told(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api") as cluster:
        front = await front_of(cluster)
        control = cluster.kernel.find(Control)
        control.watchers["", "configmaps", ""] = 45
        level = control.levels["global-default"]
        await front("eve", "DELETE", "/api/v1/namespaces/default/configmaps/x")
        assert level.used == 5
        await trio.sleep(0.006)
        assert level.used == 0


async def test_changes_of_the_objects_count_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api") as cluster:
        front = await front_of(cluster)
        front.answer_by(front.work)
        client = cluster.client
        group = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1"}
        limited = {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}, "borrowingLimitPercent": 0}
        spec = {"type": "Limited", "limited": limited}
        await client.create(
            FLOW_SCHEMAS,
            {
                **group,
                "kind": "FlowSchema",
                "metadata": {"name": "mine"},
                "spec": {
                    "priorityLevelConfiguration": {"name": "narrow"},
                    "matchingPrecedence": 50,
                    "rules": [
                        {
                            "subjects": [{"kind": "User", "user": {"name": "eve"}}],
                            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                        }
                    ],
                },
            },
        )

        def dangling(status: str) -> Callable[[Any], bool]:
            return lambda obj: any(
                (each["type"], each["status"]) == ("Dangling", status)
                for each in (obj.get("status") or {}).get("conditions") or ()
            )

        found = await cluster.until(FLOW_SCHEMAS, "mine", dangling("True"), "")
        assert found is not None
        assert found["status"]["conditions"][0]["message"] == (
            'This FlowSchema references the PriorityLevelConfiguration object named "narrow" '
            "but there is no such object"
        )
        control = cluster.kernel.find(Control)
        await front("eve", "GET", "/version")
        assert ("mine", "narrow") not in control.counts
        level = {**group, "kind": "PriorityLevelConfiguration", "metadata": {"name": "narrow"}, "spec": spec}
        await client.create(PRIORITY_LEVEL_CONFIGURATIONS, level)
        await cluster.until(FLOW_SCHEMAS, "mine", dangling("False"), "")
        statuses: list[int] = []

        async def ask() -> None:
            statuses.append((await front("eve", "GET", "/version")).status)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        limit = control.levels["narrow"].limit
        assert statuses.count(200) == limit == 3
        assert control.counts["mine", "narrow"].rejected == {"concurrency-limit": 7}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(front, "eve", "GET", "/version")
            await trio.testing.wait_all_tasks_blocked()
            await client.delete(PRIORITY_LEVEL_CONFIGURATIONS, "narrow")
            await cluster.until(FLOW_SCHEMAS, "mine", dangling("True"), "")
            assert control.levels["narrow"].quiescing
        await trio.sleep(10)
        assert "narrow" not in control.levels


async def test_mandatory_and_suggested_objects_are_kept(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client
        names = {item["metadata"]["name"] for item in (await client.list(FLOW_SCHEMAS))["items"]}
        assert names == {
            "exempt",
            "probes",
            "system-leader-election",
            "endpoint-controller",
            "workload-leader-election",
            "system-node-high",
            "system-nodes",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-system-service-accounts",
            "service-accounts",
            "global-default",
            "catch-all",
        }
        await client.delete(FLOW_SCHEMAS, "catch-all")
        await client.delete(PRIORITY_LEVEL_CONFIGURATIONS, "workload-low")
        await client.patch(
            PRIORITY_LEVEL_CONFIGURATIONS, "system", {"spec": {"limited": {"nominalConcurrencyShares": 1}}}
        )
        stale = await client.get(FLOW_SCHEMAS, "probes")
        stale = {**stale, "metadata": {"name": "of-old", "annotations": stale["metadata"]["annotations"]}}
        await client.create(FLOW_SCHEMAS, stale)
        await front_of(cluster)
        assert "catch-all" in {schema.name for schema in cluster.kernel.find(Control).schemas}
        await trio.sleep(61)
        assert (await client.get(FLOW_SCHEMAS, "catch-all"))["spec"]["matchingPrecedence"] == 10000
        low = await client.get(PRIORITY_LEVEL_CONFIGURATIONS, "workload-low")
        assert low["spec"]["limited"]["nominalConcurrencyShares"] == 100
        system = await client.get(PRIORITY_LEVEL_CONFIGURATIONS, "system")
        assert system["spec"]["limited"]["nominalConcurrencyShares"] == 30
        with pytest.raises(StatusError):
            await client.get(FLOW_SCHEMAS, "of-old")


async def test_a_busy_level_borrows_from_idle_ones(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", settings=SMALL) as cluster:
        front = await front_of(cluster)
        front.answer_by(front.work)
        level = cluster.kernel.find(Control).levels["global-default"]
        before = level.limit
        assert before is not None
        async with trio.open_nursery() as nursery:
            for _ in range(150):
                nursery.start_soon(front, "eve")
            await trio.sleep(11)
            assert level.limit is not None
            assert level.limit > before
            assert level.used == level.limit


async def test_the_state_can_be_seen(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", settings=SMALL) as cluster:
        front = await front_of(cluster)
        inner = front.handler

        async def some_work(request: Request) -> Response:
            return await (inner if request.path.startswith("/debug") else front.work)(request)

        front.answer_by(some_work)
        root = "/debug/api_priority_and_fairness"

        async def see(page: str) -> list[list[str]]:
            response = await front("root", "GET", f"{root}/{page}", "system:masters")
            assert response.content_type == "text/plain; charset=utf-8"
            assert isinstance(response.body, bytes)
            return [[cell.strip() for cell in line.split(",")] for line in response.body.decode().splitlines()]

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(front, "eve")
            await trio.testing.wait_all_tasks_blocked()
            levels = await see("dump_priority_levels")
            assert levels[0][0] == "PriorityLevelName"
            row = dict(zip(levels[0], next(line for line in levels if line[0] == "global-default"), strict=True))
            assert (row["IsIdle"], row["ExecutingRequests"], row["WaitingRequests"]) == ("false", "3", "2")
            queues = await see("dump_queues")
            waiting = [line for line in queues if line[0] == "global-default" and line[2] != "0"]
            assert sum(int(line[2]) for line in waiting) == 2
            requests = await see("dump_requests?includeRequestDetails=1")
            own = [dict(zip(requests[0], line, strict=True)) for line in requests if line[0] == "global-default"]
            assert {(each["FlowDistingsher"], each["APIPath"], each["Resource"]) for each in own} == {
                ("eve", PODS, "pods")
            }
            assert sorted(each["StartTime"] == "0001-01-01T00:00:00Z" for each in own) == [False] * 3 + [True] * 2


async def test_without_the_plugin_the_plain_limits_hold(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", settings=SMALL, disable=("flow-control",)) as cluster:
        front = await front_of(cluster)
        front.answer_by(front.work)
        statuses: list[int] = []

        async def ask(method: str) -> None:
            statuses.append((await front("eve", method)).status)

        async with trio.open_nursery() as nursery:
            for _ in range(25):
                nursery.start_soon(ask, "GET")
            for _ in range(25):
                nursery.start_soon(ask, "POST")
        assert (statuses.count(200), statuses.count(429)) == (30, 20)
