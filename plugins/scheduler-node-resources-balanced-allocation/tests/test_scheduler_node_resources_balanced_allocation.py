from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubrick_scheduler import PodInfo
from kubrick_scheduler.requests import pod_requests
from kubrick_scheduler.testing import check_plugin, make_table, node, pod, scores
from kubrick_scheduler.testing.strategies import GPU, clusters, pods
from kubrick_scheduler_node_resources_balanced_allocation.plugin import NodeResourcesBalancedAllocation
from kubrick_scheduler_node_resources_balanced_allocation.settings import ResourceSpec, Settings


def balanced(*resources):
    return NodeResourcesBalancedAllocation(Settings(tuple(ResourceSpec(r) for r in resources or ("cpu", "memory"))))


@pytest.mark.parametrize(
    ("there", "new", "expected"),
    [
        ({}, {"cpu": "2", "memory": "4Gi"}, 75),
        ({}, {"cpu": "4"}, 50),
        ({"cpu": "4"}, {"memory": "8Gi"}, 100),
        ({"cpu": "2"}, {"memory": "4Gi"}, 87),
    ],
)
def test_no_change_of_balance_is_75_worse_is_less_better_is_more(there, new, expected):
    table = make_table([node("a", cpu="4", memory="8Gi")], [pod("p", on="a", requests=there)])
    assert scores(balanced(), pod(requests=new), table) == {"a": expected}


def test_pods_that_ask_for_nothing_are_not_scored():
    assert scores(balanced(), pod(), make_table([node("a")])) is None


def plain_balance(used, total):
    fractions = [min(u / t, 1) for u, t in zip(used, total, strict=True) if t]
    deviation = 0.0
    if len(fractions) == 2:
        deviation = abs((fractions[0] - fractions[1]) / 2)
    elif len(fractions) > 2:
        mean = sum(fractions) / len(fractions)
        deviation = sqrt(sum((f - mean) ** 2 for f in fractions) / len(fractions))
    return int((1 - deviation) * 100)


def plain_score(resources, new, node, bound):
    raw = pod_requests(pod(requests=node["status"]["allocatable"]))
    mine = [PodInfo(p) for p in bound if p["spec"]["nodeName"] == node["metadata"]["name"]]
    asks = PodInfo(new).requests
    looked_at = [r for r in resources if r != GPU or asks.get(r)]
    total = [raw.get(r, 0) for r in looked_at]
    before = [sum(p.requests.get(r, 0) for p in mine) for r in looked_at]
    after = [b + asks.get(r, 0) for b, r in zip(before, looked_at, strict=True)]
    return 50 + (50 + plain_balance(after, total) - plain_balance(before, total)) // 2


@settings(deadline=None)
@given(clusters(), pods(), st.sampled_from([("cpu", "memory"), ("cpu",), ("cpu", "memory", "ephemeral-storage", GPU)]))
def test_it_equals_looking_at_each_node(cluster, new, resources):
    nodes, bound = cluster
    table, plugin = make_table(nodes, bound), balanced(*resources)
    asks = PodInfo(new).requests
    expected = None
    if any(asks.get(r) for r in resources):
        expected = {n["metadata"]["name"]: plain_score(resources, new, n, bound) for n in nodes}
    assert scores(plugin, new, table) == expected
    check_plugin(plugin, table, [new])
