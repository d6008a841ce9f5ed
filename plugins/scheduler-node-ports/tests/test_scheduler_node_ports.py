import pytest
from hypothesis import given, settings

from kubrick_scheduler import PodInfo
from kubrick_scheduler.testing import check_plugin, feasible, make_table, node, pod, reasons
from kubrick_scheduler.testing.strategies import clusters, pods
from kubrick_scheduler_node_ports.plugin import NodePorts


def port(number, ip="", protocol=""):
    made = {"containerPort": 1, "hostPort": number}
    return made | ({"hostIP": ip} if ip else {}) | ({"protocol": protocol} if protocol else {})


@pytest.mark.parametrize(
    ("held", "wanted", "fits"),
    [
        (port(80), port(80), False),
        (port(80), port(81), True),
        (port(80), port(80, protocol="UDP"), True),
        (port(80, "10.0.0.1"), port(80, "10.0.0.2"), True),
        (port(80, "10.0.0.1"), port(80, "10.0.0.1"), False),
        (port(80, "10.0.0.1"), port(80), False),
        (port(80), port(80, "10.0.0.1"), False),
        (port(80, "0.0.0.0"), port(80, "127.0.0.1"), False),
    ],
)
def test_ports_clash_by_number_protocol_and_address(held, wanted, fits):
    table = make_table([node("a")], [pod("holder", on="a", ports=[held])])
    assert feasible(NodePorts(), pod(ports=[wanted]), table) == {"a": fits}


def test_a_port_is_free_again_when_its_pod_is_gone():
    table = make_table([node("a")], [pod("holder", on="a", ports=[port(80)])])
    table.remove_pod("default/holder")
    assert feasible(NodePorts(), pod(ports=[port(80)]), table) == {"a": True}


def test_users_read_kubernetes_reason():
    table = make_table([node("a"), node("b")], [pod("holder", on="a", ports=[port(80)])])
    expected = {"a": ["node(s) didn't have free ports for the requested pod ports"]}
    assert reasons(NodePorts(), pod(ports=[port(80)]), table) == expected


def test_only_a_pod_that_held_a_wanted_port_wakes_one_that_waits():
    hint = NodePorts().events_to_register()[0].hint
    waiting = PodInfo(pod(ports=[port(80)]))
    assert hint(waiting, pod("gone", on="a", ports=[port(80, "10.0.0.1")]), None)
    assert not hint(waiting, pod("gone", on="a", ports=[port(81)]), None)
    assert not hint(waiting, pod("gone", on="a"), None)


def plain_ports(pod):
    containers = [
        *pod["spec"]["containers"],
        *(c for c in pod["spec"].get("initContainers", ()) if c.get("restartPolicy") == "Always"),
    ]
    return [
        (p.get("hostIP") or "0.0.0.0", p.get("protocol") or "TCP", p["hostPort"])
        for c in containers
        for p in c.get("ports", ())
        if p.get("hostPort")
    ]


def plain_fits(pod, on_node):
    return not any(
        one[1:] == other[1:] and ("0.0.0.0" in (one[0], other[0]) or one[0] == other[0])
        for one in plain_ports(pod)
        for bound in on_node
        for other in plain_ports(bound)
    )


@settings(deadline=None)
@given(clusters(), pods())
def test_it_equals_looking_at_each_node(cluster, new):
    nodes, bound = cluster
    table = make_table(nodes, bound)
    on = {n["metadata"]["name"]: [] for n in nodes}
    for one in bound:
        on[one["spec"]["nodeName"]].append(one)
    assert feasible(NodePorts(), new, table) == {name: plain_fits(new, there) for name, there in on.items()}
    check_plugin(NodePorts(), table, [new])
