"""ReplicaSets in a cluster, in virtual time."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kubrick_api.names import GVR
from kubrick_testing.cluster import Cluster

Object = dict[str, Any]
PODS = GVR("", "v1", "pods")
EVENTS = GVR("", "v1", "events")
NAMESPACES = GVR("", "v1", "namespaces")
QUOTAS = GVR("", "v1", "resourcequotas")
REPLICA_SETS = GVR("apps", "v1", "replicasets")
SPEC = {"containers": [{"name": "c", "image": "i"}]}


def replica_set(replicas: int, name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": SPEC},
            **spec,
        },
    }


async def pods(cluster: Cluster) -> list[Object]:
    items: list[Object] = (await cluster.client.list(PODS, "default"))["items"]
    return [each for each in items if "deletionTimestamp" not in each["metadata"]]


async def make_ready(cluster: Cluster, pod: Object, ready: bool = True) -> None:
    now = cluster.kernel.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": now}
    status = {"phase": "Running", "conditions": [condition]}
    metadata = pod["metadata"]
    await cluster.client.patch(PODS, metadata["name"], {"status": status}, "default", subresource="status")


async def status(cluster: Cluster, name: str = "web") -> Object:
    found: Object = (await cluster.client.get(REPLICA_SETS, name, "default"))["status"]
    return found


async def test_it_makes_as_many_pods_as_asked_for_and_says_so(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.client.create(REPLICA_SETS, replica_set(3))
    await trio.sleep(1)
    made = await pods(cluster)
    assert len(made) == 3
    assert all(each["metadata"]["name"].startswith("web-") for each in made)
    assert all(each["metadata"]["ownerReferences"][0]["controller"] for each in made)
    assert (await status(cluster))["replicas"] == 3
    events = (await cluster.client.list(EVENTS, "default", field_selector="reason=SuccessfulCreate"))["items"]
    assert {each["message"] for each in events} == {f"Created pod: {each['metadata']['name']}" for each in made}
    assert {each["source"]["component"] for each in events} == {"replicaset-controller"}


async def test_scaling_down_deletes_the_unready_first(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.client.create(REPLICA_SETS, replica_set(3))
    await trio.sleep(1)
    one, two, three = await pods(cluster)
    await make_ready(cluster, one)
    await make_ready(cluster, three)
    await trio.sleep(1)
    assert (await status(cluster))["readyReplicas"] == 2
    await cluster.client.patch(REPLICA_SETS, "web", {"spec": {"replicas": 2}}, "default")
    await trio.sleep(1)
    left = {each["metadata"]["name"] for each in await pods(cluster)}
    assert left == {one["metadata"]["name"], three["metadata"]["name"]}
    assert two["metadata"]["name"] not in left
    found = await status(cluster)
    assert (found["replicas"], found["observedGeneration"]) == (2, 2)


async def test_a_pod_that_goes_is_replaced(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.client.create(REPLICA_SETS, replica_set(2))
    await trio.sleep(1)
    victim = (await pods(cluster))[0]["metadata"]["name"]
    await cluster.client.delete(PODS, victim, "default", grace_period=0)
    await trio.sleep(1)
    left = [each["metadata"]["name"] for each in await pods(cluster)]
    assert len(left) == 2
    assert victim not in left


async def test_matching_orphans_are_adopted_and_pods_that_stop_matching_released(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    orphan = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}},
        "spec": SPEC,
    }
    await cluster.client.create(PODS, orphan)
    owner = await cluster.client.create(REPLICA_SETS, replica_set(2))
    await trio.sleep(1)
    assert len(await pods(cluster)) == 2
    adopted = await cluster.client.get(PODS, "orphan", "default")
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
    await cluster.client.patch(PODS, "orphan", {"metadata": {"labels": {"app": "debug"}}}, "default")
    await trio.sleep(1)
    released = await cluster.client.get(PODS, "orphan", "default")
    assert not released["metadata"].get("ownerReferences")
    assert len(await pods(cluster)) == 3


async def test_a_pod_counts_as_available_after_min_ready_seconds(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.client.create(REPLICA_SETS, replica_set(1, minReadySeconds=30))
    await trio.sleep(1)
    await make_ready(cluster, (await pods(cluster))[0])
    await trio.sleep(20)
    assert (await status(cluster)).get("availableReplicas", 0) == 0
    await trio.sleep(15)
    assert (await status(cluster))["availableReplicas"] == 1


async def test_what_can_not_be_created_is_tried_once_per_round_and_reported(
    cluster: Cluster, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replica_set(50)
    broken["spec"]["template"]["spec"] = {**SPEC, "priorityClassName": "no-such-class"}
    await cluster.client.create(REPLICA_SETS, broken)
    await trio.sleep(0.004)
    assert await pods(cluster) == []
    (failure,) = (await status(cluster))["conditions"]
    assert (failure["type"], failure["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert "no-such-class" in failure["message"]
    await trio.sleep(1)
    events = (await cluster.client.list(EVENTS, "default", field_selector="reason=FailedCreate"))["items"]
    assert sum(each["count"] for each in events) < 20  # slow start, and backoff between rounds
    assert events[0]["message"].startswith("Error creating: ")
    assert "reconcile refused" in capsys.readouterr().err


async def test_a_hundred_pods_cost_few_status_writes(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.client.create(REPLICA_SETS, replica_set(100))
    await trio.sleep(1)
    before = int((await cluster.client.get(REPLICA_SETS, "web", "default"))["metadata"]["resourceVersion"])
    made = await pods(cluster)
    for pod in made:
        await make_ready(cluster, pod)
        await trio.sleep(0.001)
    await trio.sleep(1)
    assert (await status(cluster))["readyReplicas"] == 100
    after = int((await cluster.client.get(REPLICA_SETS, "web", "default"))["metadata"]["resourceVersion"])
    assert after - before - len(made) <= 8  # revisions that are neither the pods' nor the first status'
