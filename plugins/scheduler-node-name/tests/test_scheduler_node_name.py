from kubrick_scheduler.testing import check_plugin, feasible, make_table, node, pod, reasons
from kubrick_scheduler_node_name.plugin import NodeName

TABLE = make_table([node("a"), node("b")])


def test_a_pod_that_names_a_node_fits_only_there():
    assert feasible(NodeName(), pod(on="b"), TABLE) == {"a": False, "b": True}
    assert feasible(NodeName(), pod(on="gone"), TABLE) == {"a": False, "b": False}
    assert feasible(NodeName(), pod(), TABLE) == {"a": True, "b": True}


def test_users_read_kubernetes_reason():
    assert reasons(NodeName(), pod(on="b"), TABLE) == {"a": ["node(s) didn't match the requested node name"]}


def test_it_keeps_the_contract():
    check_plugin(NodeName(), TABLE, [pod(), pod(on="a"), pod(on="gone")])
