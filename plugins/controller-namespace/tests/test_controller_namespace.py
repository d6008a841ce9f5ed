"""A namespace goes with all it holds: the conditions, and in a cluster in virtual time."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_controller_namespace.plan import Found, conditions
from kubrick_testing.cluster import Cluster

Object = dict[str, Any]
NAMESPACES = GVR("", "v1", "namespaces")
CONFIG_MAPS = GVR("", "v1", "configmaps")
PODS = GVR("", "v1", "pods")
LEASES = GVR("coordination.k8s.io", "v1", "leases")


def named(kind: str, name: str, api_version: str = "v1", **metadata: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}}


def item(*finalizers: str, grace: int = 0) -> Object:
    return {"metadata": {"finalizers": list(finalizers), "deletionGracePeriodSeconds": grace}}


def test_what_remains_is_said_in_kubernetes_words() -> None:
    found = Found()
    found.note(PODS, [item(grace=30)])
    found.note(LEASES, [item("x.io/a"), item("x.io/a", "b")])
    made = {each["type"]: each for each in conditions({}, found, "t1")}
    assert len(made) == 5
    remaining = made["NamespaceContentRemaining"]
    assert (remaining["status"], remaining["reason"]) == ("True", "SomeResourcesRemain")
    assert remaining["message"] == (
        "Some resources are remaining: leases.coordination.k8s.io has 2 resource instances, "
        "pods. has 1 resource instances"
    )
    assert made["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: b in 1 resource instances, "
        "x.io/a in 2 resource instances"
    )
    assert made["NamespaceDeletionDiscoveryFailure"]["message"] == "All resources successfully discovered"
    assert found.again == 16


def test_a_condition_that_stays_keeps_its_time_and_one_that_changes_gets_a_new_one() -> None:
    found = Found()
    found.note(PODS, [item()])
    before = {"status": {"conditions": conditions({}, found, "t1")}}
    after = {each["type"]: each for each in conditions(before, Found(), "t2")}
    assert after["NamespaceContentRemaining"]["lastTransitionTime"] == "t2"
    assert after["NamespaceContentRemaining"]["reason"] == "ContentRemoved"
    assert after["NamespaceFinalizersRemaining"]["lastTransitionTime"] == "t1"


async def gone(cluster: Cluster, name: str) -> bool:
    try:
        await cluster.client.get(NAMESPACES, name)
    except StatusError as error:
        return error.code == 404
    return False


async def test_a_namespace_goes_with_all_its_content(cluster: Cluster, autojump_clock: MockClock) -> None:
    client = cluster.client
    await client.create(NAMESPACES, named("Namespace", "team"))
    await client.create(CONFIG_MAPS, named("ConfigMap", "a", namespace="team"))
    await client.create(LEASES, named("Lease", "b", "coordination.k8s.io/v1", namespace="team"))
    await client.create(CONFIG_MAPS, named("ConfigMap", "other", namespace="default"))
    await client.delete(NAMESPACES, "team")
    await trio.sleep(2)
    assert await gone(cluster, "team")
    assert (await client.list(CONFIG_MAPS, "team"))["items"] == []
    assert (await client.list(LEASES, "team"))["items"] == []
    assert (await client.get(CONFIG_MAPS, "other", "default"))["metadata"]["name"] == "other"


async def test_content_that_holds_on_keeps_the_namespace_and_the_conditions_say_what(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    client = cluster.client
    await client.create(NAMESPACES, named("Namespace", "team"))
    await client.create(CONFIG_MAPS, named("ConfigMap", "a", namespace="team", finalizers=["x.io/hold"]))
    await client.delete(NAMESPACES, "team")
    await trio.sleep(2)
    found = await client.get(NAMESPACES, "team")
    assert found["status"]["phase"] == "Terminating"
    made = {each["type"]: each for each in found["status"]["conditions"]}
    assert made["NamespaceFinalizersRemaining"]["message"].endswith("x.io/hold in 1 resource instances")
    with pytest.raises(StatusError) as refused:
        await client.create(CONFIG_MAPS, named("ConfigMap", "late", namespace="team"))
    assert refused.value.code == 403
    await client.patch(CONFIG_MAPS, "a", {"metadata": {"finalizers": None}}, "team")
    await trio.sleep(30)
    assert await gone(cluster, "team")


async def test_pods_are_given_their_grace_before_anything_else_goes(
    cluster: Cluster, hollow_nodes: Any, autojump_clock: MockClock
) -> None:
    client = cluster.client
    await client.create(NAMESPACES, named("Namespace", "team"))
    await client.create(CONFIG_MAPS, named("ConfigMap", "a", namespace="team"))
    pod = named("Pod", "p", namespace="team", finalizers=["x.io/hold"])
    pod["spec"] = {"containers": [{"name": "c", "image": "i"}]}
    await trio.sleep(1)
    await client.create(PODS, pod)
    await trio.sleep(5)
    await client.delete(NAMESPACES, "team")
    await trio.sleep(60)
    assert (await client.get(CONFIG_MAPS, "a", "team"))["metadata"]["name"] == "a"
    await client.patch(PODS, "p", {"metadata": {"finalizers": None}}, "team")
    await trio.sleep(60)
    assert await gone(cluster, "team")
