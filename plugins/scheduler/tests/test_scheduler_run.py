"""The scheduler at work in a whole control plane, in virtual time."""

from types import SimpleNamespace

import pytest
import trio

from kubrick_api.errors import StatusError
from kubrick_api_core import EVENTS, NODES, PODS
from kubrick_kernel import Composition, ConfigurationError, Kernel, TrioClock, build_plugin_manager, hookimpl
from kubrick_scheduler import Decisions, Refusal, Wait
from kubrick_scheduler.metrics import Metrics
from kubrick_scheduler.run import frameworks
from kubrick_scheduler.settings import SchedulerProfile, Settings
from kubrick_testing import Cluster, build, run_cluster

ACME = "acme-plugin"


def bound(pod):
    return pod is not None and bool(pod["spec"].get("nodeName"))


def refused(pod):
    return pod is not None and any(
        c["type"] == "PodScheduled" and c["status"] == "False" for c in pod["status"].get("conditions", ())
    )


def condition(pod):
    return next(c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")


async def events_of(cluster, name, reason):
    """The messages of a pod's events of one reason."""
    found = await cluster.until_all(
        EVENTS, lambda items: any(e["involvedObject"]["name"] == name and e["reason"] == reason for e in items)
    )
    return [e["message"] for e in found if e["involvedObject"]["name"] == name and e["reason"] == reason]


async def test_a_pod_gets_a_node_and_an_event_says_so(cluster, autojump_clock):
    await cluster.client.create(NODES, build.node("node-1"))
    await cluster.client.create(PODS, build.pod("web"))
    pod = await cluster.until(PODS, "web", bound)
    assert pod["spec"]["nodeName"] == "node-1"
    assert condition(pod)["status"] == "True"
    assert await events_of(cluster, "web", "Scheduled") == ["Successfully assigned default/web to node-1"]


async def test_a_pod_that_fits_nowhere_is_told_why_and_scheduled_when_a_node_comes(cluster, autojump_clock):
    await cluster.client.create(NODES, build.node("small", cpu="1"))
    await cluster.client.create(NODES, build.node("odd", taints=[{"key": "gpu", "effect": "NoSchedule"}]))
    await cluster.client.create(PODS, build.pod("web", requests={"cpu": "2"}))
    pod = await cluster.until(PODS, "web", refused)
    message = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)."
    assert (condition(pod)["reason"], condition(pod)["message"]) == ("Unschedulable", message)
    assert await events_of(cluster, "web", "FailedScheduling") == [message]
    decision = cluster.kernel.find(Decisions).of("default/web")
    assert "NodeResourcesFit: 1 Insufficient cpu; small would do with 1 more cpu" in decision.explain()
    await cluster.client.create(NODES, build.node("big"))
    assert (await cluster.until(PODS, "web", bound))["spec"]["nodeName"] == "big"


async def test_without_nodes_a_pod_waits_and_is_scheduled_as_soon_as_there_is_one(cluster, autojump_clock):
    await cluster.client.create(PODS, build.pod("web"))
    pod = await cluster.until(PODS, "web", refused)
    assert condition(pod)["message"] == "no nodes available to schedule pods"
    await trio.sleep(100)
    before = trio.current_time()
    await cluster.client.create(NODES, build.node("node-1"))
    await cluster.until(PODS, "web", bound)
    assert trio.current_time() - before < 1


async def test_a_gated_pod_is_scheduled_once_its_gate_is_off(cluster, autojump_clock):
    await cluster.client.create(NODES, build.node("node-1"))
    await cluster.client.create(PODS, build.pod("web", schedulingGates=[{"name": "acme.com/quota"}]))
    await trio.sleep(10)
    pod = await cluster.client.get(PODS, "web", "default")
    assert not bound(pod)
    await cluster.client.patch(PODS, "web", {"spec": {"schedulingGates": None}}, "default")
    await cluster.until(PODS, "web", bound)


async def test_pods_of_another_scheduler_are_left_alone(cluster, autojump_clock):
    await cluster.client.create(NODES, build.node("node-1"))
    await cluster.client.create(PODS, build.pod("web", schedulerName="acme"))
    await trio.sleep(60)
    assert not bound(await cluster.client.get(PODS, "web", "default"))


async def test_many_pods_fill_the_nodes_exactly(cluster, autojump_clock):
    for i in range(4):
        await cluster.client.create(NODES, build.node(f"node-{i}", cpu="2"))
    for i in range(18):
        await cluster.client.create(PODS, build.pod(f"web-{i}", requests={"cpu": "500m"}))
    pods = await cluster.until_all(
        PODS, lambda items: sum(bound(p) for p in items) == 16 and sum(refused(p) for p in items) == 2
    )
    per_node = {}
    for pod in pods:
        name = pod["spec"].get("nodeName", "")
        per_node[name] = per_node.get(name, 0) + 1
    assert per_node == {"node-0": 4, "node-1": 4, "node-2": 4, "node-3": 4, "": 2}


async def test_room_made_by_a_deleted_pod_is_used(cluster, autojump_clock):
    await cluster.client.create(NODES, build.node("node-1", cpu="1"))
    await cluster.client.create(PODS, build.pod("first", requests={"cpu": "1"}))
    await cluster.until(PODS, "first", bound)
    await cluster.client.create(PODS, build.pod("second", requests={"cpu": "1"}))
    await cluster.until(PODS, "second", refused)
    await cluster.client.delete(PODS, "first", "default", grace_period=0)
    await cluster.until(PODS, "second", bound)


async def test_attempts_are_counted(cluster, autojump_clock):
    await cluster.client.create(NODES, build.node("node-1"))
    await cluster.client.create(PODS, build.pod("web"))
    await cluster.client.create(PODS, build.pod("big", requests={"cpu": "100"}))
    await cluster.until(PODS, "web", bound)
    await cluster.until(PODS, "big", refused)
    samples = {
        (s.name, s.labels.get("result", s.labels.get("queue"))): s.value
        for family in cluster.kernel.find(Metrics).collect()
        for s in family.samples
    }
    assert samples["scheduler_schedule_attempts_total", "scheduled"] == 1
    assert samples["scheduler_schedule_attempts_total", "unschedulable"] >= 1
    assert samples["scheduler_pending_pods", "unschedulable"] == 1


def test_a_misspelt_plugin_in_the_settings_is_named():
    plugins = [SimpleNamespace(name="NodeAffinity")]
    with pytest.raises(ConfigurationError, match="there is no scheduler plugin 'NodeAfinity'; there are NodeAffinity"):
        frameworks(Settings(weights={"NodeAfinity": 3}), plugins)


def test_two_plugins_of_one_name_are_an_error():
    plugins = [SimpleNamespace(name="NodeAffinity"), SimpleNamespace(name="NodeAffinity")]
    with pytest.raises(ConfigurationError, match="two scheduler plugins are called 'NodeAffinity'"):
        frameworks(Settings(), plugins)


def test_each_profile_has_its_own_plugins_and_weights():
    plugins = [SimpleNamespace(name="A", score=None, weight=1), SimpleNamespace(name="B")]
    made = frameworks(Settings(profiles=(SchedulerProfile("acme", ("B",), {"A": 7}),)), plugins)
    assert [p.name for p in made["default-scheduler"].plugins] == ["A", "B"]
    assert [p.name for p in made["acme"].plugins] == ["A"]
    assert made["acme"].score[0][1] == 7


class Bindings:
    """A plugin for the points after a node is chosen; what it does is up to the test."""

    name = "Acme"

    def __init__(self):
        self.log = []
        self.fail_times = 0
        self.clumsy = False
        self.answer = None
        self.handle = None

    def setup(self, handle):
        self.handle = handle

    def reserve(self, pod, node):
        self.log.append("reserve")

    def unreserve(self, pod, node):
        self.log.append("unreserve")
        if self.clumsy:
            raise RuntimeError("the plugin's own mistake")

    def permit(self, pod, node):
        return self.answer

    async def pre_bind(self, pod, node):
        if self.fail_times:
            self.fail_times -= 1
            raise StatusError(500, "InternalError", "the disk is on fire")

    def post_bind(self, pod, node):
        self.log.append("post_bind")
        if self.clumsy:
            raise RuntimeError("the plugin's own mistake")


def run_with(plugin):
    """A kernel whose scheduler has one more plugin."""

    class Brick:
        @hookimpl
        def kubrick_register_scheduler_plugins(self, kernel):
            return (plugin,)

    composition = Composition(name="t", profile="control-plane", store="memory", plugins={"apiserver": {"listen": ""}})
    manager = build_plugin_manager(composition, {ACME: Brick()})
    return Kernel(composition, clock=TrioClock(), seed=0, plugins=manager)


@pytest.fixture
def plugin():
    return Bindings()


@pytest.fixture
async def acme(plugin, nursery, autojump_clock):
    kernel = run_with(plugin)
    await nursery.start(kernel.run)
    cluster = Cluster(kernel)
    await cluster.client.create(NODES, build.node("node-1"))
    yield cluster
    kernel.shutdown()


async def test_a_plugin_takes_part_in_everything_after_the_choice(acme, plugin, autojump_clock):
    await acme.client.create(PODS, build.pod("web"))
    await acme.until(PODS, "web", bound)
    await acme.until_all(EVENTS, lambda items: any(e["reason"] == "Scheduled" for e in items))
    assert plugin.log == ["reserve", "post_bind"]


async def test_a_failed_binding_is_taken_back_and_tried_again_after_a_backoff(acme, plugin, autojump_clock):
    plugin.fail_times = 1
    before = trio.current_time()
    await acme.client.create(PODS, build.pod("web"))
    pod = await acme.until(PODS, "web", refused)
    assert condition(pod)["reason"] == "SchedulerError"
    assert condition(pod)["message"] == 'running PreBind plugin "Acme": the disk is on fire'
    await acme.until(PODS, "web", bound)
    assert 0.5 < trio.current_time() - before < 3
    assert plugin.log[:3] == ["reserve", "unreserve", "reserve"]


async def test_a_plugin_that_fails_where_it_is_only_told_spoils_nothing(acme, plugin, autojump_clock):
    plugin.clumsy, plugin.fail_times = True, 1
    for name in ("web", "next"):
        await acme.client.create(PODS, build.pod(name))
        await acme.until(PODS, name, bound)
    assert {"unreserve", "post_bind"} <= set(plugin.log)
    assert acme.kernel.readiness()["scheduler"]
    assert plugin.log.count("post_bind") == 2


async def test_a_permit_may_refuse(acme, plugin, autojump_clock):
    plugin.answer = Refusal("node(s) were full of dust")
    await acme.client.create(PODS, build.pod("web"))
    pod = await acme.until(PODS, "web", refused)
    assert condition(pod)["message"] == "0/1 nodes are available: 1 node(s) were full of dust."
    assert "unreserve" in plugin.log


async def test_a_permit_may_make_a_pod_wait_until_it_is_allowed(acme, plugin, autojump_clock):
    plugin.answer = Wait(60)
    await acme.client.create(PODS, build.pod("web"))
    await trio.sleep(10)
    assert not bound(await acme.client.get(PODS, "web", "default"))
    plugin.handle.allow("Acme", "default/web")
    await acme.until(PODS, "web", bound)


async def test_a_permit_nobody_gives_runs_out(acme, plugin, autojump_clock):
    plugin.answer = Wait(60)
    await acme.client.create(PODS, build.pod("web"))
    pod = await acme.until(PODS, "web", lambda pod: refused(pod) and "timeout" in condition(pod)["message"])
    expected = "0/1 nodes are available: 1 rejected due to timeout after waiting 60s at plugin Acme."
    assert condition(pod)["message"] == expected


async def test_the_same_seed_makes_the_same_choices(autojump_clock):
    async def choices(seed):
        async with run_cluster("control-plane", seed=seed) as cluster:
            for i in range(5):
                await cluster.client.create(NODES, build.node(f"node-{i}"))
            for i in range(10):
                await cluster.client.create(PODS, build.pod(f"web-{i}"))
            pods = await cluster.until_all(PODS, lambda items: len(items) == 10 and all(map(bound, items)))
            return [p["spec"]["nodeName"] for p in pods]

    assert await choices(1) == await choices(1)
