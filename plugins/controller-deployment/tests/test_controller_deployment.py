"""Deployments in a cluster with hollow nodes, in virtual time."""

from typing import Any

import trio
from trio.testing import MockClock

from kubrick_api.names import GVR
from kubrick_testing.cluster import Cluster

Object = dict[str, Any]
PODS = GVR("", "v1", "pods")
EVENTS = GVR("", "v1", "events")
REPLICA_SETS = GVR("apps", "v1", "replicasets")
DEPLOYMENTS = GVR("apps", "v1", "deployments")


def deployment(replicas: int = 3, image: str = "v1", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}], "terminationGracePeriodSeconds": 1},
            },
            **spec,
        },
    }


def complete(obj: Object | None) -> bool:
    if obj is None:
        return False
    replicas, status = obj["spec"]["replicas"], obj.get("status", {})
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    return status.get("observedGeneration") == obj["metadata"]["generation"] and all(
        status.get(count, 0) == replicas for count in counts
    )


async def settled(cluster: Cluster) -> Object:
    found = await cluster.until(DEPLOYMENTS, "web", complete)
    assert found is not None
    return found


async def set_image(cluster: Cluster, image: str) -> None:
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await cluster.client.patch(DEPLOYMENTS, "web", change, "default", kind="strategic")


async def sets(cluster: Cluster) -> list[Object]:
    items: list[Object] = (await cluster.client.list(REPLICA_SETS, "default"))["items"]
    return items


async def test_a_rollout_a_rollback_and_their_revisions(
    cluster: Cluster, hollow_nodes: Any, autojump_clock: MockClock
) -> None:
    await cluster.client.create(DEPLOYMENTS, deployment())
    first = await settled(cluster)
    assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    progressing = {each["type"]: each for each in first["status"]["conditions"]}["Progressing"]
    assert progressing["reason"] in ("NewReplicaSetAvailable", "ReplicaSetUpdated")
    await set_image(cluster, "v2")
    second = await settled(cluster)
    assert second["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert sorted(each["spec"]["replicas"] for each in await sets(cluster)) == [0, 3]
    await set_image(cluster, "v1")
    third = await settled(cluster)
    assert third["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert len(await sets(cluster)) == 2
    await trio.sleep(5)
    events = (await cluster.client.list(EVENTS, "default", field_selector="reason=ScalingReplicaSet"))["items"]
    messages = [each["message"] for each in events]
    name = next(each["metadata"]["name"] for each in await sets(cluster) if each["spec"]["replicas"] == 3)
    assert f"Scaled up replica set {name} from 0 to 3" in messages
    assert f"Scaled down replica set {name} from 3 to 2" in messages


async def test_recreate_never_runs_old_and_new_together(
    cluster: Cluster, hollow_nodes: Any, autojump_clock: MockClock
) -> None:
    await cluster.client.create(DEPLOYMENTS, deployment(strategy={"type": "Recreate"}))
    await settled(cluster)
    images: list[set[str]] = []

    async def look() -> None:
        while True:
            items = (await cluster.client.list(PODS, "default"))["items"]
            images.append({each["spec"]["containers"][0]["image"] for each in items})
            await trio.sleep(0.01)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        await set_image(cluster, "v2")
        await settled(cluster)
        nursery.cancel_scope.cancel()
    assert {"v1", "v2"} not in images
    assert images[-1] == {"v2"}


async def test_a_rolling_update_never_has_too_few_or_too_many_pods(
    cluster: Cluster, hollow_nodes: Any, autojump_clock: MockClock
) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    await cluster.client.create(DEPLOYMENTS, deployment(6, strategy=rolling))
    await settled(cluster)
    ready: list[int] = []
    alive: list[int] = []

    async def look() -> None:
        while True:
            items = (await cluster.client.list(PODS, "default"))["items"]
            items = [each for each in items if "deletionTimestamp" not in each["metadata"]]
            alive.append(len(items))
            conditions = [{c["type"]: c["status"] for c in each["status"].get("conditions", ())} for each in items]
            ready.append(sum(each.get("Ready") == "True" for each in conditions))
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        await set_image(cluster, "v2")
        await settled(cluster)
        nursery.cancel_scope.cancel()
    assert max(alive) <= 7
    assert min(ready) >= 5


async def test_a_deadline_missed_is_reported_without_any_event(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.client.create(DEPLOYMENTS, deployment(1, progressDeadlineSeconds=60))
    await trio.sleep(50)
    found = await cluster.client.get(DEPLOYMENTS, "web", "default")
    reasons = {each["type"]: each["reason"] for each in found["status"]["conditions"]}
    assert reasons == {"Progressing": "ReplicaSetUpdated", "Available": "MinimumReplicasUnavailable"}
    await trio.sleep(15)
    found = await cluster.client.get(DEPLOYMENTS, "web", "default")
    reasons = {each["type"]: each["reason"] for each in found["status"]["conditions"]}
    assert reasons["Progressing"] == "ProgressDeadlineExceeded"


async def test_a_name_already_taken_makes_the_next_hash_different(cluster: Cluster, autojump_clock: MockClock) -> None:
    made = await cluster.client.create(DEPLOYMENTS, deployment(1))
    await trio.sleep(1)
    (first,) = await sets(cluster)
    await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Background")
    await trio.sleep(5)
    stranger = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": first["metadata"]["name"], "namespace": "default"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "stranger"}},
            "template": {
                "metadata": {"labels": {"app": "stranger"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    await cluster.client.create(REPLICA_SETS, stranger)
    again = await cluster.client.create(DEPLOYMENTS, deployment(1))
    assert again["metadata"]["uid"] != made["metadata"]["uid"]
    await trio.sleep(5)
    found = await cluster.client.get(DEPLOYMENTS, "web", "default")
    assert found["status"]["collisionCount"] == 1
    owned = [each for each in await sets(cluster) if each["metadata"].get("ownerReferences")]
    assert [each["spec"]["replicas"] for each in owned] == [1]


async def test_orphaned_replica_sets_are_adopted_by_a_deployment_like_the_old_one(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await cluster.client.create(DEPLOYMENTS, deployment(2))
    await trio.sleep(1)
    (before,) = await sets(cluster)
    await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Orphan")
    await trio.sleep(5)
    (orphan,) = await sets(cluster)
    assert not orphan["metadata"].get("ownerReferences")
    made = await cluster.client.create(DEPLOYMENTS, deployment(2))
    await trio.sleep(5)
    (adopted,) = await sets(cluster)
    assert adopted["metadata"]["uid"] == before["metadata"]["uid"]
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert len((await cluster.client.list(PODS, "default"))["items"]) == 2


async def test_deleting_a_deployment_takes_everything_with_it(
    cluster: Cluster, hollow_nodes: Any, autojump_clock: MockClock
) -> None:
    await cluster.client.create(DEPLOYMENTS, deployment(3))
    await settled(cluster)
    await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Foreground")
    await trio.sleep(60)
    for resource in (DEPLOYMENTS, REPLICA_SETS, PODS):
        assert (await cluster.client.list(resource, "default"))["items"] == []
