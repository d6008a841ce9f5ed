"""New nodes are tainted once."""

from kubrick_admission_taint_nodes_by_condition import NOT_READY
from kubrick_api_core import NODES
from kubrick_testing import run_cluster


async def test_a_new_node_is_tainted_as_not_ready() -> None:
    async with run_cluster("api") as cluster:
        node = await cluster.client.create(NODES, {"metadata": {"name": "n"}})
        assert node["spec"]["taints"] == [NOT_READY]


async def test_other_taints_stay_and_the_same_is_not_added_twice() -> None:
    async with run_cluster("api") as cluster:
        other = {"key": "gpu", "effect": "NoSchedule"}
        for taints in ([other], [other, NOT_READY]):
            name = f"n{len(taints)}"
            node = await cluster.client.create(NODES, {"metadata": {"name": name}, "spec": {"taints": taints}})
            assert node["spec"]["taints"] == [other, NOT_READY]


async def test_a_node_that_became_ready_is_left_alone() -> None:
    async with run_cluster("api") as cluster:
        node = await cluster.client.create(NODES, {"metadata": {"name": "n"}})
        updated = await cluster.client.update(NODES, {**node, "spec": {}})
        assert "taints" not in updated.get("spec", {})
