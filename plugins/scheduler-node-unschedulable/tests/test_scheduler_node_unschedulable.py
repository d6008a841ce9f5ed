import pytest
from hypothesis import given, settings

from kubrick_scheduler import PodInfo
from kubrick_scheduler.pod import tolerated
from kubrick_scheduler.testing import check_plugin, feasible, make_table, node, pod, reasons
from kubrick_scheduler.testing.strategies import clusters, pods
from kubrick_scheduler_node_unschedulable.plugin import TAINT, NodeUnschedulable

TABLE = make_table([node("open"), node("cordoned", unschedulable=True)])
TOLERANT = pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}])


def test_a_cordoned_node_takes_only_pods_that_tolerate_it():
    assert feasible(NodeUnschedulable(), pod(), TABLE) == {"open": True, "cordoned": False}
    assert feasible(NodeUnschedulable(), TOLERANT, TABLE) == {"open": True, "cordoned": True}
    assert reasons(NodeUnschedulable(), pod(), TABLE) == {"cordoned": ["node(s) were unschedulable"]}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, node(), True),
        (None, node(unschedulable=True), False),
        (node(unschedulable=True), node(), True),
        (node(), node(labels={"a": "b"}), False),
    ],
)
def test_only_a_node_that_begins_to_take_pods_wakes_those_that_wait(old, new, expected):
    hint = NodeUnschedulable().events_to_register()[0].hint
    assert hint(PodInfo(pod()), old, new) is expected


def test_a_pod_that_begins_to_tolerate_it_is_tried_again():
    hint = NodeUnschedulable().events_to_register()[1].hint
    assert hint(PodInfo(pod()), pod(), TOLERANT)
    assert not hint(PodInfo(pod()), pod(), pod())
    assert not hint(PodInfo(pod("other")), pod(), TOLERANT)


@settings(deadline=None)
@given(clusters(), pods())
def test_it_equals_looking_at_each_node(cluster, new):
    table = make_table(*cluster)
    tolerates = tolerated(TAINT, PodInfo(new).tolerations)
    expected = {n["metadata"]["name"]: tolerates or not n["spec"].get("unschedulable") for n in cluster[0]}
    assert feasible(NodeUnschedulable(), new, table) == expected
    check_plugin(NodeUnschedulable(), table, [new])
