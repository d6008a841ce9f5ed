"""Turning changes of objects into cluster events."""

from kubrick_scheduler.events import POD_DELETE, WILDCARD, Action, ClusterEvent, node_changes, pod_changes
from kubrick_scheduler.testing import node, pod


def actions(events):
    return {event.action for event in events}


def test_a_heartbeat_is_no_event():
    old, new = node(), node()
    old["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "1"}]
    new["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2"}]
    assert node_changes(old, new) == []


def test_each_change_of_a_node_has_its_own_name():
    assert actions(node_changes(node(cpu="1"), node(cpu="2"))) == {Action.UPDATE_NODE_ALLOCATABLE}
    assert actions(node_changes(node(), node(labels={"a": "b"}))) == {Action.UPDATE_NODE_LABEL}
    assert actions(node_changes(node(), node(unschedulable=True))) == {Action.UPDATE_NODE_TAINT}
    assert actions(node_changes(node(), node(taints=[{"key": "k", "effect": "NoSchedule"}]))) == {
        Action.UPDATE_NODE_TAINT
    }


def test_each_change_of_a_pod_has_its_own_name():
    gated = pod(schedulingGates=[{"name": "g"}])
    assert actions(pod_changes(gated, pod(), False)) == {Action.UPDATE_POD_SCHEDULING_GATES_ELIMINATED}
    assert actions(pod_changes(pod(), pod(labels={"a": "b"}), False)) == {Action.UPDATE_POD_LABEL}
    assert actions(pod_changes(pod(), pod(), True)) == {Action.UPDATE_POD_SCALE_DOWN}
    assert actions(pod_changes(pod(), pod(tolerations=[{"operator": "Exists"}]), False)) == {
        Action.UPDATE_POD_TOLERATION
    }


def test_a_registered_event_covers_the_more_specific_ones():
    assert ClusterEvent("Pod", Action.ADD | Action.DELETE).covers(POD_DELETE)
    assert not ClusterEvent("Node", Action.DELETE).covers(POD_DELETE)
    assert not ClusterEvent("Pod", Action.ADD).covers(POD_DELETE)
    assert WILDCARD.covers(POD_DELETE)
