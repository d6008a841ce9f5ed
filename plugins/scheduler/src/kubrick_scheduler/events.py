"""Cluster events: what happened, in the words with which plugins say what could help their pods.

A plugin that refused a pod registers the events that may change its mind. The queue turns every change
of a pod or node into such events (as specific as possible, as kube-scheduler does) and asks only the
plugins that registered them.
"""

from enum import IntFlag
from typing import Any

from attrs import frozen

Object = dict[str, Any]


class Action(IntFlag):
    """What happened to an object. An update is always one of the specific ones where there is one."""

    ADD = 1
    DELETE = 1 << 1
    UPDATE_NODE_ALLOCATABLE = 1 << 2
    UPDATE_NODE_LABEL = 1 << 3
    UPDATE_NODE_TAINT = 1 << 4
    UPDATE_NODE_CONDITION = 1 << 5
    UPDATE_NODE_ANNOTATION = 1 << 6
    UPDATE_POD_LABEL = 1 << 7
    UPDATE_POD_SCALE_DOWN = 1 << 8
    UPDATE_POD_TOLERATION = 1 << 9
    UPDATE_POD_SCHEDULING_GATES_ELIMINATED = 1 << 10
    UPDATE_POD_GENERATED_RESOURCE_CLAIM = 1 << 11
    UPDATE = 1 << 12
    """An update with no name of its own (a resource other than pods and nodes)."""
    ALL = (1 << 13) - 1


@frozen
class ClusterEvent:
    """`resource` is a kind ("Pod", "Node", "PersistentVolumeClaim", ...) or "*"."""

    resource: str
    action: Action
    label: str = ""
    """How the event is named in metrics (AssignedPodDelete, NodeAdd, ...)."""

    def covers(self, event: "ClusterEvent") -> bool:
        """Whether a plugin that registered this one wants to hear of `event`."""
        return self.resource in ("*", event.resource) and bool(self.action & event.action)


WILDCARD = ClusterEvent("*", Action.ALL)
POD_ADD = ClusterEvent("Pod", Action.ADD, "AssignedPodAdd")
POD_DELETE = ClusterEvent("Pod", Action.DELETE, "AssignedPodDelete")
NODE_ADD = ClusterEvent("Node", Action.ADD, "NodeAdd")
NODE_DELETE = ClusterEvent("Node", Action.DELETE, "NodeDelete")
UNSCHEDULABLE_TIMEOUT = ClusterEvent("*", Action.ALL, "UnschedulableTimeout")
FORCE_ACTIVATE = ClusterEvent("*", Action.ALL, "ForceActivate")

_NODE_CHANGES: tuple[tuple[Action, tuple[str, ...]], ...] = (
    (Action.UPDATE_NODE_ALLOCATABLE, ("status", "allocatable")),
    (Action.UPDATE_NODE_LABEL, ("metadata", "labels")),
    (Action.UPDATE_NODE_ANNOTATION, ("metadata", "annotations")),
)
_NODE_LABELS = {
    Action.UPDATE_NODE_ALLOCATABLE: "NodeAllocatableChange",
    Action.UPDATE_NODE_LABEL: "NodeLabelChange",
    Action.UPDATE_NODE_ANNOTATION: "NodeAnnotationChange",
    Action.UPDATE_NODE_TAINT: "NodeTaintChange",
    Action.UPDATE_NODE_CONDITION: "NodeConditionChange",
}
_POD_LABELS = {
    Action.UPDATE_POD_LABEL: "PodLabelChange",
    Action.UPDATE_POD_SCALE_DOWN: "PodScaleDown",
    Action.UPDATE_POD_TOLERATION: "PodToleration",
    Action.UPDATE_POD_SCHEDULING_GATES_ELIMINATED: "PodSchedulingGatesEliminated",
    Action.UPDATE_POD_GENERATED_RESOURCE_CLAIM: "PodGeneratedResourceClaim",
}


def _at(obj: Object, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for step in path:
        value = value.get(step) or {}
    return value


def _conditions(node: Object) -> dict[str, str]:
    return {c["type"]: c.get("status", "") for c in node.get("status", {}).get("conditions") or ()}


def node_changes(old: Object, new: Object) -> list[ClusterEvent]:
    """What an update of a node means to waiting pods; empty for a heartbeat."""
    actions = [action for action, path in _NODE_CHANGES if _at(old, path) != _at(new, path)]
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before.get("taints") != after.get("taints") or before.get("unschedulable") != after.get("unschedulable"):
        actions.append(Action.UPDATE_NODE_TAINT)
    if _conditions(old) != _conditions(new):
        actions.append(Action.UPDATE_NODE_CONDITION)
    return [ClusterEvent("Node", action, _NODE_LABELS[action]) for action in actions]


def pod_changes(old: Object, new: Object, scaled_down: bool) -> list[ClusterEvent]:
    """What an update of a pod means to scheduling. `scaled_down`: one of its requests got smaller."""
    actions = []
    if (old["metadata"].get("labels") or {}) != (new["metadata"].get("labels") or {}):
        actions.append(Action.UPDATE_POD_LABEL)
    if scaled_down:
        actions.append(Action.UPDATE_POD_SCALE_DOWN)
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before.get("tolerations") != after.get("tolerations"):
        actions.append(Action.UPDATE_POD_TOLERATION)
    if before.get("schedulingGates") and not after.get("schedulingGates"):
        actions.append(Action.UPDATE_POD_SCHEDULING_GATES_ELIMINATED)
    if _at(old, ("status", "resourceClaimStatuses")) != _at(new, ("status", "resourceClaimStatuses")):
        actions.append(Action.UPDATE_POD_GENERATED_RESOURCE_CLAIM)
    return [ClusterEvent("Pod", action, _POD_LABELS[action]) for action in actions]
