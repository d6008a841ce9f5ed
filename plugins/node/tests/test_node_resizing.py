"""Resources that change while a pod runs: what the node takes, what it defers, what the containers get and when."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kubrick_api_core import PODS
from kubrick_node.qos import CgroupLimits
from kubrick_node.resizing import (
    DEFERRED,
    INFEASIBLE,
    Resize,
    admit_resize,
    adopted,
    changed,
    restart_needed,
    summary,
    widest,
    with_allocation,
)

sys.path.insert(0, str(Path(__file__).parent))
from node_world import container, restarts, running

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def resources(cpu="100m", memory="100Mi"):
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


def pod_of(*containers, name="web", **metadata):
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name, **metadata},
        "spec": {"containers": containers},
    }


def condition(pod, kind):
    return next((one for one in pod["status"].get("conditions") or () if one["type"] == kind), None)


def test_amounts_are_compared_and_not_how_they_are_written():
    assert changed(resources("0.1", "104857600"), resources("100m", "100Mi")) == ()
    assert changed(resources("100m", "1Gi"), resources("200m", "1Gi")) == ("cpu",)
    assert changed({}, resources()) == ("cpu", "memory")
    assert changed(resources(), None) == ()


def test_a_worker_sees_what_is_allocated_and_the_rest_of_the_pod_as_it_is():
    sidecar = {"name": "side", "restartPolicy": "Always", "resources": resources("3")}
    pod = pod_of({"name": "web", "image": "i", "resources": resources("2")})
    pod["spec"]["initContainers"] = [{"name": "setup", "resources": resources("5")}, sidecar]
    seen = with_allocation(pod, {"web": resources("1"), "side": resources("1"), "setup": resources("1")})
    assert seen["spec"]["containers"] == [{"name": "web", "image": "i", "resources": resources("1")}]
    assert [one["resources"]["limits"]["cpu"] for one in seen["spec"]["initContainers"]] == ["1", "1"]
    assert pod["spec"]["containers"][0]["resources"] == resources("2")
    assert with_allocation(pod, {"web": resources("2000m"), "side": resources("3")}) is pod


def test_more_than_the_node_has_is_infeasible_and_more_than_is_free_deferred():
    room = {"cpu": "2", "memory": "1Gi", "pods": "10"}
    other = pod_of({"name": "other", "resources": resources("1500m")}, name="other")

    def asked(cpu, memory="100Mi"):
        return admit_resize(pod_of({"name": "web", "resources": resources(cpu, memory)}), [other], room)

    assert asked("500m") is None
    deferred = asked("501m")
    assert deferred.reason == DEFERRED
    assert deferred.message == "Node didn't have enough resource: cpu, requested: 501, used: 1500, capacity: 2000"
    infeasible = asked("2001m")
    assert infeasible.reason == INFEASIBLE
    assert infeasible.message == "Node didn't have enough capacity: cpu, requested: 2001, capacity: 2000"
    assert asked("3", "2Gi").message.startswith("Node didn't have enough capacity: memory, requested: 2147483648,")


def test_a_static_pod_is_not_resized():
    pod = pod_of({"name": "web"}, annotations={"kubernetes.io/config.source": "file"})
    assert admit_resize(pod, [], {}).message == "In-place resize of static-pods is not supported"


def test_a_container_says_what_it_has_to_be_restarted_for():
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    policy.append({"resourceName": "cpu", "restartPolicy": "NotRequired"})
    assert restart_needed({"resizePolicy": policy}, ["memory"])
    assert not restart_needed({"resizePolicy": policy}, ["cpu"])
    assert not restart_needed({}, ["cpu", "memory"])


def test_a_pod_found_running_has_what_its_status_says():
    pod = pod_of({"name": "web", "resources": resources("2")}, {"name": "new", "resources": resources("1")})
    pod["status"] = {"containerStatuses": [{"name": "web", "state": {"running": {}}, "resources": resources("1")}]}
    found = adopted(pod)
    assert found.allocated == {"web": resources("1"), "new": resources("1")}
    assert found.actuated == found.allocated


def test_conditions_keep_when_they_began():
    resize = Resize(pending=(DEFERRED, "no room", 3))
    before = {"PodResizePending": {"lastTransitionTime": "2025-12-31T00:00:00Z"}}
    (found,) = resize.conditions(before, NOW)
    assert found == {
        "type": "PodResizePending",
        "status": "True",
        "observedGeneration": 3,
        "lastProbeTime": None,
        "lastTransitionTime": "2025-12-31T00:00:00Z",
        "reason": "Deferred",
        "message": "no room",
    }


def test_events_show_the_resources_and_the_generation():
    pod = pod_of({"name": "web", "resources": {"limits": {"cpu": "1"}}})
    told = '{"containers":[{"name":"web","resources":{"limits":{"cpu":"1"}}}],"generation":2,"error":"why"}'
    assert summary(pod, 2, "why") == told


limits = st.builds(
    CgroupLimits,
    st.integers(2, 262144),
    st.none() | st.integers(1000, 10**6),
    st.none() | st.integers(1, 2**40),
    st.none(),
)


@given(limits, limits)
def test_the_widest_limits_allow_whatever_either_does(one, other):
    both = widest(one, other)
    for allowed in (one, other):
        assert both.shares >= allowed.shares
        for mine, its in ((both.quota, allowed.quota), (both.memory, allowed.memory)):
            assert mine is None or (its is not None and mine >= its)
    assert widest(one, one) == one


async def resize(world, cpu, memory="100Mi", name="web"):
    patch = {"spec": {"containers": [{"name": "web", "resources": resources(cpu, memory)}]}}
    return await world.client.patch(PODS, name, patch, "default", kind="strategic", subresource="resize")


def web(**more):
    return [{"name": "web", "image": "nginx", "resources": resources(), **more}]


async def test_a_container_gets_its_resources_while_it_runs(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(containers=web())
        before = await world.until_running()
        status = container(before)
        assert status["resources"] == resources()
        assert status["allocatedResources"] == resources()["requests"]
        generation = (await resize(world, "200m"))["metadata"]["generation"]
        after = await world.until(lambda pod: container(pod)["resources"] == resources("200m"))
        assert container(after)["allocatedResources"]["cpu"] == "200m"
        assert container(after)["containerID"] == status["containerID"]
        assert restarts(after) == 0
        assert condition(after, "PodResizeInProgress") is None
        assert after["status"]["observedGeneration"] == generation
        assert world.runtime.updates == [("web", resources("200m"))]
        told = summary(after, generation)
        assert await world.events("ResizeStarted") == [f"Pod resize started: {told}"]
        assert await world.events("ResizeCompleted") == [f"Pod resize completed: {told}"]


async def test_a_container_that_wants_it_is_restarted_to_have_more_memory(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(containers=web(resizePolicy=[{"resourceName": "memory", "restartPolicy": "RestartContainer"}]))
        await world.until_running()
        await resize(world, "100m", "200Mi")
        after = await world.until(lambda pod: container(pod)["resources"] == resources("100m", "200Mi"))
        after = await world.until(lambda pod: restarts(pod) == 1 and "running" in container(pod)["state"])
        assert condition(after, "PodResizeInProgress") is None
        assert world.runtime.updates == []
        assert world.runtime.specs[-1].container["resources"] == resources("100m", "200Mi")
        assert "Container web resize requires restart" in await world.events("Killing")
        await resize(world, "200m", "200Mi")
        await world.until(lambda pod: container(pod)["resources"] == resources("200m", "200Mi"))
        assert world.runtime.updates == [("web", resources("200m", "200Mi"))]


async def test_what_can_not_be_is_refused_and_what_can_not_be_now_waits_for_room(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        half = world.node.machine.allocatable["cpu"]
        await world.pod(containers=web())
        await world.pod("other", containers=web())
        for name in ("web", "other"):
            await world.until_running(name)
        await resize(world, "100000")
        refused = await world.until(lambda pod: condition(pod, "PodResizePending"))
        assert condition(refused, "PodResizePending")["reason"] == "Infeasible"
        assert container(refused)["resources"] == resources()
        assert len(await world.events("ResizeInfeasible")) == 1
        await resize(world, half)
        deferred = await world.until(lambda pod: condition(pod, "PodResizePending")["reason"] == "Deferred")
        assert condition(deferred, "PodResizePending")["message"].startswith("Node didn't have enough resource: cpu,")
        assert world.runtime.updates == []
        await world.client.delete(PODS, "other", "default")
        await world.until_gone("other")
        given = await world.until(lambda pod: container(pod)["resources"] == resources(half))
        assert condition(given, "PodResizePending") is None


async def test_a_resize_that_the_runtime_refuses_says_so_and_is_tried_again(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(containers=web())
        await world.until_running()
        world.runtime.fail("update_container", "UpdateContainerError", "device or resource busy")
        await resize(world, "200m")
        failed = await world.until(lambda pod: (condition(pod, "PodResizeInProgress") or {}).get("reason") == "Error")
        assert condition(failed, "PodResizeInProgress")["message"] == "device or resource busy"
        assert container(failed)["resources"] == resources()
        assert container(failed)["allocatedResources"]["cpu"] == "200m"
        done = await world.until(lambda pod: container(pod)["resources"] == resources("200m"))
        assert condition(done, "PodResizeInProgress") is None


async def test_an_agent_that_was_away_takes_up_a_resize(tmp_path, autojump_clock):
    async with running(tmp_path, keep_pods=True) as world:
        await world.pod(containers=web())
        before = await world.until_running()
        await world.stop()
        await resize(world, "200m")
        await world.start()
        after = await world.until(lambda pod: container(pod)["resources"] == resources("200m"))
        assert container(after)["containerID"] == container(before)["containerID"]
        assert world.runtime.updates == [("web", resources("200m"))]
