import pytest
from hypothesis import given, settings

from kubrick_scheduler import PodInfo
from kubrick_scheduler.testing import check_plugin, feasible, make_table, node, pod, reasons, scores
from kubrick_scheduler.testing.strategies import clusters, pods
from kubrick_scheduler_taint_toleration.plugin import TaintToleration


def taint(key="k", value="v", effect="NoSchedule"):
    return {"key": key, "value": value, "effect": effect}


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k"}, False),
    ],
)
def test_tolerations_match_as_kubernetes_says(toleration, tolerates):
    table = make_table([node("a", taints=[taint()])])
    assert feasible(TaintToleration(), pod(tolerations=[toleration]), table) == {"a": tolerates}


def test_hard_taints_refuse_and_soft_ones_dont():
    effects = ("NoSchedule", "NoExecute", "PreferNoSchedule")
    table = make_table([node(effect, taints=[taint(effect=effect)]) for effect in effects])
    assert feasible(TaintToleration(), pod(), table) == {
        "NoSchedule": False,
        "NoExecute": False,
        "PreferNoSchedule": True,
    }
    assert set(reasons(TaintToleration(), pod(), table)) == {"NoSchedule", "NoExecute"}


def test_users_read_kubernetes_reason_and_explanations_name_the_taint():
    table = make_table([node("a", taints=[taint("gpu", "yes")])])
    assert reasons(TaintToleration(), pod(), table) == {"a": ["node(s) had untolerated taint(s)"]}
    info = PodInfo(pod())
    (refusal,) = TaintToleration().explain(info, table, table.valid.nonzero()[0])
    assert refusal.detail(0) == "untolerated taint {gpu: yes} (NoSchedule)"
    assert refusal.change == "tolerate gpu=yes:NoSchedule"


def test_the_fewer_soft_taints_a_pod_does_not_tolerate_the_better():
    soft = [taint(str(i), effect="PreferNoSchedule") for i in range(3)]
    table = make_table([node("none"), node("one", taints=soft[:1]), node("three", taints=soft)])
    assert scores(TaintToleration(), pod(), table) == {"none": 100, "one": 67, "three": 0}
    tolerant = pod(tolerations=[{"key": "0", "operator": "Exists", "effect": "PreferNoSchedule"}])
    assert scores(TaintToleration(), tolerant, table) == {"none": 100, "one": 100, "three": 0}
    # A toleration of another effect says nothing about soft taints.
    hard = pod(tolerations=[{"key": "0", "operator": "Exists", "effect": "NoSchedule"}])
    assert scores(TaintToleration(), hard, table)["one"] == 67


def test_without_any_taint_all_nodes_are_best():
    assert scores(TaintToleration(), pod(), make_table([node("a"), node("b")])) == {"a": 100, "b": 100}


def test_a_new_set_of_taints_is_judged_anew():
    plugin, table = TaintToleration(), make_table([node("a", taints=[taint("x")])])
    assert feasible(plugin, pod(), table) == {"a": False}
    table.put_node(node("a", taints=[taint("y", effect="PreferNoSchedule")]))
    assert feasible(plugin, pod(), table) == {"a": True}


def test_only_a_node_whose_taints_stop_mattering_wakes_a_pod():
    hint = TaintToleration().events_to_register()[0].hint
    waiting = PodInfo(pod())
    assert hint(waiting, node(taints=[taint()]), node())
    assert hint(waiting, None, node())
    assert not hint(waiting, node(), node())
    assert not hint(waiting, None, node(taints=[taint()]))


def plain_fits(pod, node):
    return all(
        any(plain_tolerates(t, x) for t in pod["spec"].get("tolerations", ()))
        for x in node["spec"].get("taints", ())
        if x["effect"] in ("NoSchedule", "NoExecute")
    )


def plain_tolerates(toleration, taint):
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def plain_score(pod, node):
    tolerations = [t for t in pod["spec"].get("tolerations", ()) if t.get("effect") in (None, "", "PreferNoSchedule")]
    soft = [t for t in node["spec"].get("taints", ()) if t["effect"] == "PreferNoSchedule"]
    return sum(1 for taint in soft if not any(plain_tolerates(t, taint) for t in tolerations))


@settings(deadline=None)
@given(clusters(), pods())
def test_it_equals_looking_at_each_node(cluster, new):
    table, plugin = make_table(*cluster), TaintToleration()
    by_name = {n["metadata"]["name"]: n for n in cluster[0]}
    assert feasible(plugin, new, table) == {name: plain_fits(new, n) for name, n in by_name.items()}
    counts = {name: plain_score(new, n) for name, n in by_name.items()}
    worst = max(counts.values())
    expected = {name: 100 if not worst else 100 - 100 * count // worst for name, count in counts.items()}
    assert scores(plugin, new, table) == expected
    check_plugin(plugin, table, [new])
