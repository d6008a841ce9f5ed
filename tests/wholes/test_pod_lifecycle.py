"""Pods on hollow nodes, from creation to the end, as their annotations script them; in virtual time."""

import itertools

import pytest
import trio
from trio.testing import MockClock

from kubrick_api.errors import StatusError
from kubrick_api_core import EVENTS, PODS
from kubrick_testing import Cluster, build

pytestmark = pytest.mark.kubrick(nodes=2)

SCRIPT = "hollow.kubrick.dev/"


def scripted(name="web", policy="Always", init=(), **script):
    annotations = {f"{SCRIPT}{key.replace('_', '-')}": value for key, value in script.items()}
    pod = build.pod(name, annotations=annotations, restartPolicy=policy)
    if init:
        pod["spec"]["initContainers"] = [build.container(one) for one in init]
    return pod


def state(pod, which="state"):
    """The first container's state: (kind, reason)."""
    statuses = pod["status"].get("containerStatuses") if pod else None
    if not statuses:
        return "", ""
    found = statuses[0].get(which) or {}
    kind = next(iter(found), "")
    return kind, (found.get(kind) or {}).get("reason", "")


def ready(pod):
    return any(
        c["type"] == "Ready" and c["status"] == "True" for c in (pod or {}).get("status", {}).get("conditions") or ()
    )


async def seconds_until(cluster, name, holds):
    began = trio.current_time()
    pod = await cluster.until(PODS, name, holds)
    return pod, trio.current_time() - began


async def events_of(cluster, name):
    await trio.sleep(1)  # the recorder writes in its own time
    found = await cluster.client.list(EVENTS, "default", field_selector=f"involvedObject.name={name}")
    return {event["reason"]: event for event in found["items"]}


async def test_a_pod_walks_from_pending_to_running_to_ready(autojump_clock: MockClock, cluster: Cluster, hollow_nodes):
    made = await cluster.client.create(PODS, scripted(start_after="2s", ready_after="5s"), "default")
    assert made["status"]["phase"] == "Pending"
    pod, waited = await seconds_until(cluster, "web", lambda p: p["status"]["phase"] == "Running")
    assert waited == pytest.approx(2, abs=0.2)
    assert not ready(pod)
    pod, waited = await seconds_until(cluster, "web", ready)
    assert waited == pytest.approx(5, abs=0.2)
    assert pod["status"]["podIP"].startswith("10.128.")
    assert {"Scheduled", "Pulled", "Created", "Started"} <= (await events_of(cluster, "web")).keys()


async def test_a_crashing_container_backs_off_longer_and_longer(
    autojump_clock: MockClock, cluster: Cluster, hollow_nodes
):
    await cluster.client.create(PODS, scripted(exit_after="1s", exit_code="3"), "default")
    started = []
    for count in range(1, 5):
        pod = await cluster.until(
            PODS,
            "web",
            lambda p, n=count: state(p)[0] == "running" and p["status"]["containerStatuses"][0]["restartCount"] == n,
        )
        started.append(trio.current_time())
    gaps = [later - earlier for earlier, later in itertools.pairwise(started)]
    assert gaps == pytest.approx([11, 21, 41], abs=1)  # a second of life, then 10, 20 and 40 s of waiting
    assert state(pod, "lastState") == ("terminated", "Error")
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3
    waiting = await cluster.until(PODS, "web", lambda p: state(p) == ("waiting", "CrashLoopBackOff"))
    assert waiting["status"]["phase"] == "Running"
    event = (await events_of(cluster, "web"))["BackOff"]
    assert event["message"].startswith("Back-off restarting failed container web in pod web_default(")


async def test_an_image_that_cannot_be_pulled_says_so_and_is_tried_again(
    autojump_clock: MockClock, cluster: Cluster, hollow_nodes
):
    await cluster.client.create(PODS, scripted(image_error="no such image"), "default")
    pod = await cluster.until(PODS, "web", lambda p: state(p) == ("waiting", "ErrImagePull"))
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == "no such image"
    await cluster.until(PODS, "web", lambda p: state(p) == ("waiting", "ImagePullBackOff"))
    await cluster.until(PODS, "web", lambda p: state(p) == ("waiting", "ErrImagePull"))
    found = await events_of(cluster, "web")
    failures = {
        one["message"] for one in (await cluster.client.list(EVENTS, "default"))["items"] if one["type"] == "Warning"
    }
    assert failures == {'Failed to pull image "nginx": no such image', "Error: ImagePullBackOff"}
    assert found["BackOff"]["message"].startswith('Back-off pulling image "nginx"')


async def test_pods_that_do_not_restart_end_as_their_containers_did(
    autojump_clock: MockClock, cluster: Cluster, hollow_nodes
):
    await cluster.client.create(PODS, scripted("fine", "Never", exit_after="3s"), "default")
    await cluster.client.create(PODS, scripted("bad", "Never", exit_after="3s", exit_code="1"), "default")
    fine = await cluster.until(PODS, "fine", lambda p: p["status"]["phase"] == "Succeeded")
    bad = await cluster.until(PODS, "bad", lambda p: p["status"]["phase"] == "Failed")
    assert (state(fine), state(bad)) == (("terminated", "Completed"), ("terminated", "Error"))


async def test_init_containers_come_first_and_a_failing_one_keeps_the_pod_pending(
    autojump_clock: MockClock, cluster: Cluster, hollow_nodes
):
    pod = scripted(init=["one", "two"])
    pod["metadata"]["annotations"] = {f"{SCRIPT}exit-after.one": "4s"}
    await cluster.client.create(PODS, pod, "default")
    _, waited = await seconds_until(cluster, "web", ready)
    assert waited == pytest.approx(4, abs=0.5)
    stuck = scripted("stuck", init=["one"])
    stuck["metadata"]["annotations"] = {f"{SCRIPT}exit-code.one": "1", f"{SCRIPT}exit-after.one": "1s"}
    await cluster.client.create(PODS, stuck, "default")
    await trio.sleep(60)
    found = await cluster.client.get(PODS, "stuck", "default")
    assert found["status"]["phase"] == "Pending"
    assert found["status"]["initContainerStatuses"][0]["restartCount"] >= 2


async def test_deletion_is_graceful_and_can_be_hurried(autojump_clock: MockClock, cluster: Cluster, hollow_nodes):
    client = cluster.client
    await client.create(PODS, scripted(stop_after="20s"), "default")
    await cluster.until(PODS, "web", ready)
    deleted = await client.delete(PODS, "web", "default")
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 30
    _, waited = await seconds_until(cluster, "web", lambda p: p is None)
    assert waited == pytest.approx(20, abs=0.5)
    assert "Killing" in await events_of(cluster, "web")

    await client.create(PODS, scripted("slow", stop_after="300s"), "default")
    await cluster.until(PODS, "slow", ready)
    await client.delete(PODS, "slow", "default", grace_period=100)
    await trio.sleep(10)
    await client.delete(PODS, "slow", "default", grace_period=5)
    _, waited = await seconds_until(cluster, "slow", lambda p: p is None)
    assert waited == pytest.approx(5, abs=0.5)

    await client.create(PODS, scripted("stubborn", stop_after="300s"), "default")
    await cluster.until(PODS, "stubborn", ready)
    await client.delete(PODS, "stubborn", "default", grace_period=0)
    with pytest.raises(StatusError, match='pods "stubborn" not found'):
        await client.get(PODS, "stubborn", "default")


async def test_a_node_that_comes_back_restarts_nothing(autojump_clock: MockClock, cluster: Cluster, hollow_nodes):
    await cluster.client.create(PODS, scripted(), "default")
    before = await cluster.until(PODS, "web", ready)
    node = before["spec"]["nodeName"]
    hollow_nodes.stop(node)
    await trio.sleep(20)
    await hollow_nodes.start(node)
    await trio.sleep(20)
    after = await cluster.client.get(PODS, "web", "default")
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]


async def test_a_bad_script_is_shown_where_people_look(autojump_clock: MockClock, cluster: Cluster, hollow_nodes):
    await cluster.client.create(PODS, scripted(ready_after="soon"), "default")
    pod = await cluster.until(PODS, "web", lambda p: state(p) == ("waiting", "CreateContainerConfigError"))
    assert "hollow.kubrick.dev/ready-after" in pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]


async def test_a_pod_is_resized_though_nothing_runs(autojump_clock: MockClock, cluster: Cluster, hollow_nodes):
    burstable = scripted()
    burstable["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "10m"}}
    await cluster.client.create(PODS, burstable, "default")
    pod = await cluster.until(PODS, "web", lambda p: state(p)[0] == "running")
    (name,) = (one["name"] for one in pod["spec"]["containers"])
    more = {"requests": {"cpu": "20m"}}
    patch = {"spec": {"containers": [{"name": name, "resources": more}]}}
    await cluster.client.patch(PODS, "web", patch, "default", kind="strategic", subresource="resize")
    told = await cluster.until(
        PODS, "web", lambda p: p["status"]["containerStatuses"][0]["resources"] == more and state(p)[0] == "running"
    )
    assert told["status"]["containerStatuses"][0]["allocatedResources"] == {"cpu": "20m"}
    assert told["status"]["observedGeneration"] == told["metadata"]["generation"]
