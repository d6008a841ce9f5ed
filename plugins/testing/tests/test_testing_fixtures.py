"""The fixtures give a test a cluster to itself, and notice who spoils what is shared."""

import pytest
import trio

from kubrick_api_core import CONFIG_MAPS, NODES, PODS
from kubrick_testing import MutatedObject, RealCluster, build, run_cluster
from kubrick_testing.cluster import Cluster


async def test_a_cluster_has_its_namespaces_and_no_nodes(
    autojump_clock: trio.testing.MockClock, cluster: Cluster
) -> None:
    assert (await cluster.client.list(NODES))["items"] == []
    assert all(cluster.kernel.readiness().values())


@pytest.mark.kubrick(nodes=2)
async def test_hollow_nodes_run_pods(
    autojump_clock: trio.testing.MockClock, cluster: Cluster, hollow_nodes: object
) -> None:
    assert len((await cluster.client.list(NODES))["items"]) == 2
    await cluster.client.create(PODS, build.pod(), "default")
    running = await cluster.until(PODS, "web", lambda pod: pod is not None and pod["status"].get("phase") == "Running")
    assert running is not None
    assert running["status"]["podIP"]


async def test_changing_a_shared_object_fails_the_test_that_did(autojump_clock: trio.testing.MockClock) -> None:
    async def spoil() -> None:
        async with run_cluster() as cluster:
            await cluster.client.create(CONFIG_MAPS, build.config_map(a="b"), "default")
            shared = await cluster.client.get(CONFIG_MAPS, "settings", "default")
            shared["data"]["a"] = "spoilt"

    with pytest.raises(ExceptionGroup) as caught:
        await spoil()
    assert caught.group_contains(MutatedObject, match=r"changed in the cache: .data.a is 'spoilt', was stored as 'b'")


async def test_waiting_for_what_never_comes_says_what_was_there_last(
    autojump_clock: trio.testing.MockClock, cluster: Cluster
) -> None:
    await cluster.client.create(CONFIG_MAPS, build.config_map(a="b"), "default")
    with pytest.raises(TimeoutError, match=r"'settings' after 5 s: .*'a': 'b'"):
        await cluster.until(CONFIG_MAPS, "settings", lambda found: False, seconds=5)


async def test_two_clusters_with_one_seed_are_the_same(autojump_clock: trio.testing.MockClock) -> None:
    async def uids(seed: int) -> list[str]:
        async with run_cluster("hollow", seed=seed) as cluster:
            return [node["metadata"]["uid"] for node in (await cluster.client.list(NODES))["items"]]

    first = await uids(7)
    assert first
    assert await uids(7) == first
    assert await uids(8) != first


async def test_a_real_cluster_answers_kubectl(real_cluster: RealCluster) -> None:
    assert "node-3" in await real_cluster.kubectl("get", "nodes")
    with pytest.raises(RuntimeError, match="NotFound"):
        await real_cluster.kubectl("get", "pod", "absent")
