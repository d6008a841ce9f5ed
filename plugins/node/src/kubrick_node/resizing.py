"""What becomes of a pod whose resources were changed while it runs (KEP-1287). Pure.

Three sets of resources: what the spec asks for, what the node has allocated, and what has been applied to the
running containers ("actuated"). A worker sees its pod with what is allocated; a change that the node can't take
leaves that as it was, and the condition PodResizePending says why. One that it takes is PodResizeInProgress until
the containers have it.

Source: the kubelet's allocation manager, its admission of resizes and computePodResizeAction.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, field

from kubrick_api.quantity import Quantity
from kubrick_kernel import rfc3339
from kubrick_node.admission import Rejection, lacks
from kubrick_node.plan import is_sidecar
from kubrick_node.qos import CgroupLimits, pod_requests
from kubrick_node.statics import SOURCE

Object = dict[str, Any]
Resources = Mapping[str, Any]

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
INFEASIBLE, DEFERRED, ERROR = "Infeasible", "Deferred", "Error"
RESIZABLE = ("cpu", "memory")
STATIC = "In-place resize of static-pods is not supported"


@define
class Resize:
    """One pod's. `allocated` and `actuated` are by container name; conditions are (reason, message, generation)."""

    allocated: dict[str, Resources] = field(factory=dict)
    actuated: dict[str, Resources] = field(factory=dict)
    pending: tuple[str, str, int] | None = None
    in_progress: tuple[str, str, int] | None = None

    def conditions(self, before: Mapping[str, Object], now: datetime) -> Iterator[Object]:
        """Those that hold, as the status has them; `before` are the pod's by type."""
        for kind, what in ((PENDING, self.pending), (IN_PROGRESS, self.in_progress)):
            if what is None:
                continue
            reason, message, generation = what
            old = before.get(kind)
            found: Object = {"type": kind, "status": "True"}
            if generation:
                found["observedGeneration"] = generation
            found["lastProbeTime"] = None
            found["lastTransitionTime"] = old["lastTransitionTime"] if old else rfc3339(now)
            found |= {key: text for key, text in (("reason", reason), ("message", message)) if text}
            yield found


def resizable(pod: Object) -> Iterator[Object]:
    """The containers whose resources can change: those that run for as long as the pod."""
    spec = pod["spec"]
    yield from (one for one in spec.get("initContainers") or () if is_sidecar(one))
    yield from spec["containers"]


def resources_of(pod: Object) -> dict[str, Resources]:
    return {one["name"]: one.get("resources") or {} for one in resizable(pod)}


def adopted(pod: Object) -> Resize:
    """What a pod has that this agent did not start: its containers' statuses say it."""
    allocated = resources_of(pod)
    status = pod.get("status", {})
    for listed in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(listed) or ():
            if one["name"] in allocated and one.get("resources") is not None and "running" in (one.get("state") or {}):
                allocated[one["name"]] = one["resources"]
    return Resize(allocated, dict(allocated))


def with_allocation(pod: Object, allocated: Mapping[str, Resources]) -> Object:
    """The pod as the node has room for it: itself where nothing differs."""
    if not any(changed(one.get("resources") or {}, allocated.get(one["name"])) for one in resizable(pod)):
        return pod
    spec = dict(pod["spec"])
    for listed in ("initContainers", "containers"):
        if spec.get(listed):
            spec[listed] = [_allocated(one, allocated) for one in spec[listed]]
    return {**pod, "spec": spec}


def _allocated(container: Object, allocated: Mapping[str, Resources]) -> Object:
    found = allocated.get(container["name"])
    return container if found is None else {**container, "resources": found}


def changed(one: Resources, other: Resources | None) -> tuple[str, ...]:
    """Which of cpu and memory differ, in requests or limits, whatever way they are written."""
    if other is None:
        return ()
    return tuple(
        name
        for name in RESIZABLE
        if any(_amount(one, kind, name) != _amount(other, kind, name) for kind in ("requests", "limits"))
    )


def _amount(resources: Resources, kind: str, name: str) -> Quantity:
    return Quantity((resources.get(kind) or {}).get(name) or "0")


def admit_resize(pod: Object, others: Sequence[Object], allocatable: Mapping[str, str]) -> Rejection | None:
    """Whether the node has room for what the pod now asks for. `others` are the node's other pods, as allocated."""
    if ((pod["metadata"].get("annotations") or {}).get(SOURCE) or "api") != "api":
        return Rejection(INFEASIBLE, STATIC)
    asked = pod_requests(pod)
    for name in reversed(RESIZABLE):
        amount, capacity = asked.get(name, Quantity("0")), Quantity(allocatable.get(name, "0"))
        if amount > capacity:
            wanted, room = (amount.milli, capacity.milli) if name == "cpu" else (amount.value, capacity.value)
            text = f"Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {room}"
            return Rejection(INFEASIBLE, text)
    lacking = lacks(pod, others, allocatable)
    return Rejection(DEFERRED, lacking.message) if lacking is not None else None


def restart_needed(container: Object, names: Sequence[str]) -> bool:
    """Whether the container has to be restarted to have other amounts of these."""
    policies = {one["resourceName"]: one["restartPolicy"] for one in container.get("resizePolicy") or ()}
    return any(policies.get(name) == "RestartContainer" for name in names)


def widest(one: CgroupLimits, other: CgroupLimits) -> CgroupLimits:
    """The least that allows both: what a pod's cgroup has while its containers change."""

    def either(first: int | None, second: int | None) -> int | None:
        return None if first is None or second is None else max(first, second)

    return CgroupLimits(
        max(one.shares, other.shares), either(one.quota, other.quota), either(one.memory, other.memory), other.pids
    )


def summary(pod: Object, generation: int, error: str = "") -> str:
    """The resources of a pod as events about resizes show them."""
    found: Object = {}
    for listed in ("initContainers", "containers"):
        entries = [{"name": c["name"], "resources": c.get("resources") or {}} for c in pod["spec"].get(listed) or ()]
        if entries:
            found[listed] = entries
    found["generation"] = generation
    if error:
        found["error"] = error
    return json.dumps(found, separators=(",", ":"))
