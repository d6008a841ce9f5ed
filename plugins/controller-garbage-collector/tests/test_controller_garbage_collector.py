"""Cascading deletion in a cluster, in virtual time."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kubrick_api.names import GVR
from kubrick_testing.cluster import Cluster

Object = dict[str, Any]
CONFIG_MAPS = GVR("", "v1", "configmaps")
SECRETS = GVR("", "v1", "secrets")
NODES = GVR("", "v1", "nodes")
NAMESPACES = GVR("", "v1", "namespaces")
EVENTS = GVR("", "v1", "events")


def refer(owner: Object, **more: Any) -> Object:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        **more,
    }


async def make(
    cluster: Cluster, name: str, *owners: Object, namespace: str = "default", finalizers: tuple[str, ...] = ()
) -> Object:
    obj: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "ownerReferences": list(owners),
            "finalizers": list(finalizers),
        },
    }
    return await cluster.client.create(CONFIG_MAPS, obj)


async def names(cluster: Cluster, namespace: str = "default") -> set[str]:
    found = await cluster.client.list(CONFIG_MAPS, namespace)
    return {each["metadata"]["name"] for each in found["items"]} - {"kube-root-ca.crt"}


async def test_in_the_background_dependents_follow_their_owner(cluster: Cluster, autojump_clock: MockClock) -> None:
    owner = await make(cluster, "owner")
    child = await make(cluster, "child", refer(owner))
    await make(cluster, "grandchild", refer(child))
    await make(cluster, "stranger")
    await cluster.client.delete(CONFIG_MAPS, "owner", "default", propagation_policy="Background")
    await trio.sleep(5)
    assert await names(cluster) == {"stranger"}


async def test_in_the_foreground_the_owner_goes_last(cluster: Cluster, autojump_clock: MockClock) -> None:
    owner = await make(cluster, "owner")
    await make(cluster, "child", refer(owner, blockOwnerDeletion=True), finalizers=("example.com/hold",))
    await make(cluster, "unblocking", refer(owner), finalizers=("example.com/hold",))
    await cluster.client.delete(CONFIG_MAPS, "owner", "default", propagation_policy="Foreground")
    await trio.sleep(5)
    assert await names(cluster) == {"owner", "child", "unblocking"}
    held = await cluster.client.get(CONFIG_MAPS, "child", "default")
    assert "deletionTimestamp" in held["metadata"]
    await cluster.client.patch(CONFIG_MAPS, "child", {"metadata": {"finalizers": None}}, "default")
    await trio.sleep(5)
    assert await names(cluster) == {"unblocking"}


async def test_orphans_stay_and_lose_their_reference(cluster: Cluster, autojump_clock: MockClock) -> None:
    owner, other = await make(cluster, "owner"), await make(cluster, "other")
    await make(cluster, "child", refer(owner), refer(other))
    await cluster.client.delete(CONFIG_MAPS, "owner", "default", propagation_policy="Orphan")
    await trio.sleep(5)
    assert await names(cluster) == {"other", "child"}
    child = await cluster.client.get(CONFIG_MAPS, "child", "default")
    assert [each["uid"] for each in child["metadata"]["ownerReferences"]] == [other["metadata"]["uid"]]


async def test_a_dependent_with_another_owner_stays_and_loses_only_the_dead_reference(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    owner, other = await make(cluster, "owner"), await make(cluster, "other")
    await make(cluster, "child", refer(owner), refer(other))
    await cluster.client.delete(CONFIG_MAPS, "owner", "default")
    await trio.sleep(5)
    assert await names(cluster) == {"other", "child"}
    child = await cluster.client.get(CONFIG_MAPS, "child", "default")
    assert [each["uid"] for each in child["metadata"]["ownerReferences"]] == [other["metadata"]["uid"]]


@pytest.mark.parametrize("change", [{"uid": "gone"}, {"name": "never-was", "uid": "gone"}])
async def test_an_object_born_with_a_dead_owner_is_deleted(
    cluster: Cluster, autojump_clock: MockClock, change: dict[str, str]
) -> None:
    owner = await make(cluster, "owner")
    await make(cluster, "child", refer(owner) | change)
    await trio.sleep(5)
    assert await names(cluster) == {"owner"}


async def test_an_owner_of_unknown_kind_keeps_its_dependents(cluster: Cluster, autojump_clock: MockClock) -> None:
    reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "u"}
    await make(cluster, "child", reference)
    await trio.sleep(60)
    assert await names(cluster) == {"child"}


async def test_an_owner_in_another_namespace_is_none_and_an_event_says_so(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await cluster.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    owner = await make(cluster, "owner", namespace="other")
    child = await make(cluster, "child", refer(owner))
    await trio.sleep(5)
    assert await names(cluster) == set()
    events = (await cluster.client.list(EVENTS, "default", field_selector="involvedObject.name=child"))["items"]
    uid = owner["metadata"]["uid"]
    assert [(each["type"], each["reason"]) for each in events] == [("Warning", "OwnerRefInvalidNamespace")]
    assert events[0]["message"] == (
        f'ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: {uid}] does not exist in namespace "default"'
    )
    assert events[0]["involvedObject"]["uid"] == child["metadata"]["uid"]


async def test_a_circle_of_owners_can_be_deleted_in_the_foreground(cluster: Cluster, autojump_clock: MockClock) -> None:
    one = await make(cluster, "one")
    two = await make(cluster, "two", refer(one, blockOwnerDeletion=True))
    circle = {"metadata": {"ownerReferences": [refer(two, blockOwnerDeletion=True)]}}
    await cluster.client.patch(CONFIG_MAPS, "one", circle, "default")
    await cluster.client.delete(CONFIG_MAPS, "one", "default", propagation_policy="Foreground")
    await trio.sleep(30)
    assert await names(cluster) == set()


async def test_a_cluster_scoped_object_with_a_namespaced_owner_is_left_alone(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    owner = await make(cluster, "owner")
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "ownerReferences": [refer(owner)]}}
    await cluster.client.create(NAMESPACES, space)
    await cluster.client.delete(CONFIG_MAPS, "owner", "default")
    await trio.sleep(30)
    assert (await cluster.client.get(NAMESPACES, "x"))["status"]["phase"] == "Active"
