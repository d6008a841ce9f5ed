import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubrick_scheduler import PodInfo
from kubrick_scheduler.requests import pod_requests
from kubrick_scheduler.testing import check_plugin, feasible, make_table, node, pod, reasons, scores
from kubrick_scheduler.testing.strategies import GPU, clusters, pods
from kubrick_scheduler_node_resources_fit.plugin import NodeResourcesFit
from kubrick_scheduler_node_resources_fit.settings import ResourceSpec, Settings, ShapePoint

GI = 1024**3


def fit(**settings):
    return NodeResourcesFit(Settings(**settings))


def test_a_pod_fits_where_what_it_asks_is_free():
    table = make_table([node("a", cpu="2"), node("b", cpu="1")], [pod("p", on="a", cpu="1")])
    assert feasible(fit(), pod(cpu="1"), table) == {"a": True, "b": True}
    assert feasible(fit(), pod(cpu="1001m"), table) == {"a": False, "b": False}


def test_every_lacking_resource_is_a_reason_in_kubernetes_words_and_order():
    table = make_table([node("a", cpu="1", memory="1Gi", pods="1")], [pod("p", on="a", cpu="1")])
    new = pod(requests={"cpu": "1", "memory": "2Gi", GPU: "1", "ephemeral-storage": "1Gi"})
    assert reasons(fit(), new, table) == {
        "a": [
            "Too many pods",
            "Insufficient cpu",
            "Insufficient memory",
            "Insufficient ephemeral-storage",
            "Insufficient example.com/gpu",
        ]
    }


def test_a_pod_without_requests_is_refused_only_where_there_are_too_many():
    table = make_table([node("full", pods="1", cpu="1"), node("busy", cpu="1")])
    table.put_pod(PodInfo(pod("p", on="full")))
    table.put_pod(PodInfo(pod("q", on="busy", cpu="3")))
    assert feasible(fit(), pod(), table) == {"full": False, "busy": True}
    assert feasible(fit(), pod(cpu="0"), table) == {"full": False, "busy": True}


def test_removing_pods_could_not_help_where_the_node_is_too_small():
    table = make_table([node("small", cpu="1"), node("full", cpu="8")], [pod("p", on="full", cpu="8")])
    (refusal,) = fit().explain(PodInfo(pod(cpu="2")), table, table.valid.nonzero()[0])
    assert refusal.unresolvable.tolist() == [True, False]


def test_explanations_give_the_numbers_and_the_smallest_change():
    table = make_table([node("a", cpu="1"), node("b", cpu="4")], [pod("p", on="b", cpu="3500m")])
    (refusal,) = fit().explain(PodInfo(pod(cpu="1500m")), table, table.valid.nonzero()[0])
    assert refusal.detail(1) == "cpu: asks for 1500m, 3500m of 4 are requested already"
    assert refusal.change == "a would do with 500m more cpu"


def test_ignored_extended_resources_are_left_alone():
    table, new = make_table([node("a")]), pod(requests={GPU: "1"})
    assert feasible(fit(), new, table) == {"a": False}
    assert feasible(fit(ignored_resources=(GPU,)), new, table) == {"a": True}
    assert feasible(fit(ignored_resource_groups=("example.com",)), new, table) == {"a": True}


def test_least_allocated_prefers_the_emptier_node():
    table = make_table([node("a", memory="8Gi"), node("b", memory="8Gi")], [pod("p", on="a", cpu="1", memory="2Gi")])
    # a: (4000-2000)/4000 = 50, (8-4)/8 = 50; b: 75 and 75.
    assert scores(fit(), pod(cpu="1", memory="2Gi"), table) == {"a": 50, "b": 75}


def test_most_allocated_prefers_the_fuller_node():
    table = make_table([node("a", memory="8Gi"), node("b", memory="8Gi")], [pod("p", on="a", cpu="1", memory="2Gi")])
    assert scores(fit(scoring_strategy="MostAllocated"), pod(cpu="1", memory="2Gi"), table) == {"a": 50, "b": 25}


def test_requested_to_capacity_ratio_follows_its_shape():
    shape = (ShapePoint(0, 0), ShapePoint(100, 10))
    plugin = fit(scoring_strategy="RequestedToCapacityRatio", shape=shape)
    table = make_table([node("a", memory="8Gi"), node("b", memory="8Gi")], [pod("p", on="a", cpu="1", memory="2Gi")])
    assert scores(plugin, pod(cpu="1", memory="2Gi"), table) == {"a": 50, "b": 25}


def test_an_extended_resource_counts_in_scoring_only_for_pods_that_ask_for_it():
    resources = (ResourceSpec("cpu"), ResourceSpec(GPU, 3))
    table = make_table([node("a", example_com_gpu="4")])
    assert scores(fit(resources=resources), pod(cpu="1"), make_table([node("a")])) == {"a": 75}
    table = make_table([{**node("a"), "status": {"allocatable": {"cpu": "4", "pods": "9", GPU: "4"}}}])
    assert scores(fit(resources=resources), pod(cpu="1"), table) == {"a": 75}
    assert scores(fit(resources=resources), pod(requests={"cpu": "1", GPU: "4"}), table) == {"a": (75 + 0) // 4}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"resources": ()}, "at least one resource"),
        ({"resources": (ResourceSpec("cpu", 101),)}, "must be 1 to 100"),
        ({"scoring_strategy": "RequestedToCapacityRatio"}, "at least one point"),
        ({"scoring_strategy": "RequestedToCapacityRatio", "shape": (ShapePoint(50, 1), ShapePoint(50, 2))}, "ascend"),
        ({"scoring_strategy": "RequestedToCapacityRatio", "shape": (ShapePoint(50, 11),)}, "0 to 10"),
    ],
)
def test_wrong_settings_are_named(settings, complaint):
    assert complaint in Settings(**settings).wrong()
    assert Settings().wrong() == ""


def test_a_node_wakes_a_pod_only_if_it_grew_in_what_the_pod_needs_and_is_big_enough():
    hint = fit().events_to_register()[1].hint
    waiting = PodInfo(pod(cpu="2"))
    assert hint(waiting, None, node(cpu="2"))
    assert not hint(waiting, None, node(cpu="1"))
    assert hint(waiting, node(cpu="1"), node(cpu="2"))
    assert not hint(waiting, node(memory="1Gi"), node(memory="2Gi"))


def test_a_pod_that_shrank_wakes_a_pod_only_if_it_gave_up_what_that_needs():
    hint = fit().events_to_register()[0].hint
    waiting = PodInfo(pod(cpu="2"))
    big, less = pod("p", on="a", cpu="2", memory="1Gi"), pod("p", on="a", cpu="1", memory="1Gi")
    assert hint(waiting, big, less)
    assert not hint(waiting, big, pod("p", on="a", cpu="2", memory="1Mi"))
    assert hint(waiting, big, None)


def usage(node, bound):
    """(allocatable, requested, requested for scoring) of one node, added up anew."""
    raw = node["status"]["allocatable"]
    total = pod_requests(pod(requests=raw))
    mine = [PodInfo(p) for p in bound if p["spec"]["nodeName"] == node["metadata"]["name"]]
    used = {r: sum(p.requests.get(r, 0) for p in mine) for r in ("cpu", "memory", "ephemeral-storage", GPU)}
    used["pods"] = len(mine)
    scoring = {"cpu": sum(p.scoring_requests[0] for p in mine), "memory": sum(p.scoring_requests[1] for p in mine)}
    return total, used, scoring


def plain_fits(new, node, bound):
    total, used, _ = usage(node, bound)
    asks = {"pods": 1, **{r: q for r, q in PodInfo(new).requests.items() if q}}
    return all(q <= total.get(r, 0) - used.get(r, 0) for r, q in asks.items())


def plain_score(strategy, new, node, bound):
    total, _, scoring = usage(node, bound)
    asked = dict(zip(("cpu", "memory"), PodInfo(new).scoring_requests, strict=True))
    parts = []
    for resource in ("cpu", "memory"):
        capacity, requested = total.get(resource, 0), scoring[resource] + asked[resource]
        if not capacity:
            continue
        if strategy == "LeastAllocated":
            parts.append(0 if requested > capacity else (capacity - requested) * 100 // capacity)
        else:
            parts.append(min(requested, capacity) * 100 // capacity)
    return sum(parts) // len(parts) if parts else 0


@settings(deadline=None)
@given(clusters(), pods(), st.sampled_from(["LeastAllocated", "MostAllocated"]))
def test_it_equals_looking_at_each_node(cluster, new, strategy):
    nodes, bound = cluster
    table, plugin = make_table(nodes, bound), fit(scoring_strategy=strategy)
    by_name = {n["metadata"]["name"]: n for n in nodes}
    assert feasible(plugin, new, table) == {name: plain_fits(new, n, bound) for name, n in by_name.items()}
    assert scores(plugin, new, table) == {name: plain_score(strategy, new, n, bound) for name, n in by_name.items()}
    check_plugin(plugin, table, [new])
