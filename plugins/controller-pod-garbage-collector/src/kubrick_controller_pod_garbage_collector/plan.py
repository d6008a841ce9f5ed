"""Which pods to remove, and why. Pure.

Source: kube-controller-manager's pod garbage collector: terminated pods above a threshold, pods of nodes
that are gone, terminating pods that were never scheduled, and terminating pods of nodes that are out of
service.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from kubrick_controller.pod import condition, disruption

Object = dict[str, Any]

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
ORPHANED = "PodGC: node no longer exists"


@frozen
class Removal:
    """One pod to remove. `condition` is the DisruptionTarget message to leave first ("" for none)."""

    pod: Object
    why: str
    condition: str = ""


def is_terminated(pod: Object) -> bool:
    return pod.get("status", {}).get("phase", "") not in ("Pending", "Running", "Unknown", "")


def _terminating(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _age(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]


def removals(
    pods: Iterable[Object], nodes: Mapping[str, Object], lost: frozenset[str], threshold: int
) -> list[Removal]:
    """What to remove now. `lost` are the nodes known to be gone for good, `threshold` how many
    terminated pods may stay (0 or less: any number)."""
    found: list[Removal] = []
    terminated: list[Object] = []
    for pod in pods:
        node = pod["spec"].get("nodeName", "")
        if node in lost:
            found.append(Removal(pod, "orphaned", ORPHANED))
        elif not node:
            if _terminating(pod):
                found.append(Removal(pod, "terminating-unscheduled"))
            elif is_terminated(pod):
                terminated.append(pod)
        elif _terminating(pod) and node in nodes and _out_of_service(nodes[node]):
            found.append(Removal(pod, "out-of-service"))
        elif is_terminated(pod):
            terminated.append(pod)
    extra = len(terminated) - threshold
    if threshold > 0 and extra > 0:
        found += [Removal(pod, "terminated") for pod in sorted(terminated, key=_age)[:extra]]
    return found


def _out_of_service(node: Object) -> bool:
    """Marked by an administrator, and really not ready."""
    ready = condition(node, "Ready")
    marked = any(taint["key"] == OUT_OF_SERVICE for taint in node["spec"].get("taints") or ())
    return marked and (ready is None or ready["status"] != "True")


def failed_status(pod: Object, message: str, now: str) -> Object:
    """The status patch a removed pod (and no namesake) gets first: Failed, with the condition that says why."""
    status: Object = {"conditions": [disruption(pod, "DeletionByPodGC", message, now)]}
    if not is_terminated(pod):
        status["phase"] = "Failed"
    return {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
