"""Which pods are removed, decided without a cluster."""

from kubrick_controller_pod_garbage_collector.plan import failed_status, removals


def make_pod(name, phase="Running", node="n1", terminating=False, created="2026-01-01T00:00:00Z"):
    metadata = {"name": name, "namespace": "default", "uid": name, "creationTimestamp": created}
    if terminating:
        metadata["deletionTimestamp"] = created
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": {"phase": phase}}


def make_node(name, ready="True", taints=()):
    return {
        "metadata": {"name": name},
        "spec": {"taints": list(taints)},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def names(pods, nodes=("n1",), lost=(), threshold=0, made=None):
    found = made or {name: make_node(name) for name in nodes}
    return [(r.pod["metadata"]["name"], r.why) for r in removals(pods, found, frozenset(lost), threshold)]


def test_pods_of_lost_nodes_and_unscheduled_terminating_ones_go():
    pods = [make_pod("a"), make_pod("b", node="gone"), make_pod("c", node="", terminating=True), make_pod("d", node="")]
    assert names(pods, lost=["gone"]) == [("b", "orphaned"), ("c", "terminating-unscheduled")]


def test_the_oldest_terminated_pods_beyond_the_threshold_go():
    pods = [make_pod(f"p{n}", "Succeeded", created=f"2026-01-0{9 - n}T00:00:00Z") for n in range(5)]
    assert names(pods, threshold=3) == [("p4", "terminated"), ("p3", "terminated")]
    assert names(pods, threshold=0) == []


def test_terminating_pods_go_from_a_node_out_of_service_that_is_really_down():
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    pods = [make_pod("a", terminating=True), make_pod("b")]
    assert names(pods, made={"n1": make_node("n1", "False", [taint])}) == [("a", "out-of-service")]
    assert names(pods, made={"n1": make_node("n1", "True", [taint])}) == []


def test_a_removed_pod_is_failed_with_the_reason_unless_it_had_ended():
    status = failed_status(make_pod("a"), "PodGC: node no longer exists", "now")["status"]
    assert status["phase"] == "Failed"
    assert status["conditions"][0]["reason"] == "DeletionByPodGC"
    assert "phase" not in failed_status(make_pod("a", "Succeeded"), "x", "now")["status"]
