"""A node falls silent, in virtual time: five minutes and fifty seconds that take less than one."""

import time

import pytest
from trio.testing import MockClock

from kubrick_api_apps import DEPLOYMENTS
from kubrick_api_core import NODES, PODS
from kubrick_testing import build, run_cluster
from kubrick_testing.cluster import Cluster

SETTINGS = {"runtime-hollow": {"nodes": 3}}


def condition(obj, kind):
    return next((c for c in obj.get("status", {}).get("conditions") or () if c["type"] == kind), {})


def is_ready(pod):
    return condition(pod, "Ready").get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


async def lose_a_node(cluster: Cluster) -> dict:
    """Run six pods, silence the node of one, and wait until they run elsewhere; what happened when."""
    from kubrick_runtime_hollow.nodes import HollowNodes

    nodes = cluster.kernel.find(HollowNodes)
    await cluster.client.create(DEPLOYMENTS, build.deployment(replicas=6), "default")
    before = await cluster.until_all(PODS, lambda pods: len(pods) == 6 and all(map(is_ready, pods)), "default")
    lost = before[0]["spec"]["nodeName"]
    clock = cluster.kernel.clock
    silent = clock.timestamp()
    nodes.stop(lost)
    node = await cluster.until(NODES, lost, lambda n: condition(n, "Ready").get("status") == "Unknown", namespace="")
    not_ready = clock.timestamp() - silent
    doomed = {p["metadata"]["name"] for p in before if p["spec"]["nodeName"] == lost}

    def replaced(pods):
        healthy = [p for p in pods if is_ready(p) and p["spec"]["nodeName"] != lost]
        return len(healthy) == 6

    after = await cluster.until_all(PODS, replaced, "default")
    return {
        "node": node,
        "not_ready": not_ready,
        "evicted": clock.timestamp() - silent - not_ready,
        "doomed": doomed,
        "after": after,
    }


@pytest.mark.kubrick(seed=3)
async def test_a_silent_node_is_not_ready_after_50_s_and_its_pods_run_elsewhere_300_s_later(
    autojump_clock: MockClock, cluster: Cluster, hollow_nodes
):
    began = time.perf_counter()
    happened = await lose_a_node(cluster)
    real_seconds = time.perf_counter() - began
    ready = condition(happened["node"], "Ready")
    assert (ready["reason"], ready["message"]) == ("NodeStatusUnknown", "Kubelet stopped posting node status.")
    assert 50 <= happened["not_ready"] <= 66  # a heartbeat may have been up to 10 s old, a look is taken every 5
    assert 300 <= happened["evicted"] <= 312
    assert happened["doomed"]
    for pod in happened["after"]:
        if pod["metadata"]["name"] in happened["doomed"]:
            assert "deletionTimestamp" in pod["metadata"]
            assert condition(pod, "DisruptionTarget")["reason"] == "DeletionByTaintManager"
    assert real_seconds < 10  # a whole order of magnitude of room: the figure itself is in the bench


async def logged(seed: int) -> list:
    """Everything that was ever stored, in order."""
    log = []
    async with run_cluster("hollow", seed=seed, settings=SETTINGS) as cluster:
        await lose_a_node(cluster)
        store = cluster.kernel.store
        watch = await store.watch(b"", 0)
        log = [(e.revision, e.key, e.item.value if e.item else None) for e in watch.receive_nowait()]
        watch.close()
    return log


async def test_the_same_seed_gives_the_same_history_twice(autojump_clock: MockClock):
    first, second = await logged(7), await logged(7)
    assert len(first) > 100
    assert first == second


async def test_another_seed_gives_another_history(autojump_clock: MockClock):
    assert await logged(7) != await logged(8)
