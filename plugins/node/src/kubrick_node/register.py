"""What a node says of itself: its Node object, its conditions, its Lease. Pure.

Source: the kubelet's initialNode and its status setters.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from kubrick_kernel import rfc3339, rfc3339_micro
from kubrick_node.runtime import Image, RuntimeInfo

Object = dict[str, Any]

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
STATUS_SECONDS = 10.0
RUNTIME_SECONDS = 5.0
"""The runtime is asked this often whether pods can be run."""
REPORT_SECONDS = 300.0
"""A status that did not change is written this often all the same."""

IMAGES = 50
"""So many images, the biggest, stand in the status."""

_HEALTHY = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
_PRESSED = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}


@frozen
class Condition:
    """How the node is now: `not_ready` says why it isn't ready ("" when it is), `pressures` are the types of
    conditions that hold, `images` what is there, `handlers` and `deep` what the runtime's handlers are called and which
    of them have recursively read-only mounts, `strict_groups` whether it can keep to a pod's own groups."""

    not_ready: str = ""
    pressures: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    handlers: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()
    strict_groups: bool | None = None


@frozen
class Machine:
    """What the node is made of. Quantities are Kubernetes' strings by resource name."""

    name: str
    internal_ip: str
    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    runtime: RuntimeInfo
    kubelet_version: str
    labels: Mapping[str, str] = field(factory=dict)
    annotations: Mapping[str, str] = field(factory=dict)
    architecture: str = "amd64"
    operating_system: str = "linux"
    os_image: str = ""
    kernel_version: str = ""
    machine_id: str = ""
    pod_cidr: str = ""
    boot_id: str = ""
    system_uuid: str = ""
    port: int = 0
    """Where the agent serves (10250 on real machines); 0: nowhere."""


HEALTHY = Condition()


def node_object(machine: Machine) -> Object:
    """The Node to register, status apart."""
    labels = {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": machine.operating_system,
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": machine.name,
        "kubernetes.io/os": machine.operating_system,
        **machine.labels,
    }
    metadata: Object = {"name": machine.name, "labels": labels}
    if machine.annotations:
        metadata["annotations"] = dict(machine.annotations)
    spec: Object = {"podCIDR": machine.pod_cidr, "podCIDRs": [machine.pod_cidr]} if machine.pod_cidr else {}
    return {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": spec}


def node_status(machine: Machine, old: Object, now: datetime, condition: Condition = HEALTHY) -> Object:
    """The node's status."""
    conditions = []
    for kind, (reason, message) in _HEALTHY.items():
        if kind in condition.pressures:
            conditions.append(_condition(kind, "True", *_PRESSED[kind], old, now))
        else:
            conditions.append(_condition(kind, "False", reason, message, old, now))
    if condition.not_ready:
        conditions.append(_condition("Ready", "False", "KubeletNotReady", condition.not_ready, old, now))
    else:
        conditions.append(_condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", old, now))
    status: Object = {
        "addresses": [
            {"type": "InternalIP", "address": machine.internal_ip},
            {"type": "Hostname", "address": machine.name},
        ],
        "capacity": dict(machine.capacity),
        "allocatable": dict(machine.allocatable),
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": machine.port}},
        "nodeInfo": {
            "architecture": machine.architecture,
            "bootID": machine.boot_id or machine.machine_id,
            "containerRuntimeVersion": f"{machine.runtime.name}://{machine.runtime.version}",
            "kernelVersion": machine.kernel_version,
            "kubeProxyVersion": "",
            "kubeletVersion": machine.kubelet_version,
            "machineID": machine.machine_id,
            "operatingSystem": machine.operating_system,
            "osImage": machine.os_image,
            "systemUUID": machine.system_uuid or machine.machine_id,
        },
    }
    if condition.images:
        status["images"] = _images(condition.images)
    if condition.handlers:
        status["runtimeHandlers"] = [_handler(name, name in condition.deep) for name in sorted(condition.handlers)]
    if condition.strict_groups is not None:
        status["features"] = {"supplementalGroupsPolicy": condition.strict_groups}
    return status


def _handler(name: str, deep: bool) -> Object:
    """User namespaces are nothing this agent asks a runtime for."""
    features = {"recursiveReadOnlyMounts": deep, "userNamespaces": False}
    return {"name": name, "features": features} if name else {"features": features}


def _images(images: Iterable[Image]) -> list[Object]:
    biggest = sorted(images, key=lambda image: (-image.size, image.id))[:IMAGES]
    return [{"names": [*image.digests, *image.tags][:5] or [image.id], "sizeBytes": image.size} for image in biggest]


def _condition(kind: str, value: str, reason: str, message: str, old: Object, now: datetime) -> Object:
    before = next((c for c in old.get("conditions") or () if c["type"] == kind), None)
    moved = before is None or before["status"] != value
    return {
        "type": kind,
        "status": value,
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": rfc3339(now) if moved or before is None else before["lastTransitionTime"],
        "reason": reason,
        "message": message,
    }


_TRANSITIONS = {
    "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
    "Ready": ("NodeReady", "NodeNotReady"),
}


def transitions(old: Object, new: Object) -> list[str]:
    """The reasons of the events that a change of a node's conditions is worth."""
    before = {one["type"]: one["status"] for one in old.get("conditions") or ()}
    return [
        _TRANSITIONS[one["type"]][0 if one["status"] == "True" else 1]
        for one in new["conditions"]
        if before.get(one["type"], "" if one["type"] != "Ready" else one["status"]) != one["status"]
    ]


def without_heartbeats(status: Object) -> Object:
    """The status without what changes at every look: to tell whether it is worth writing."""
    conditions = [
        {key: value for key, value in condition.items() if key != "lastHeartbeatTime"}
        for condition in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}


def lease_object(node: Object, now: datetime, lease: Object | None) -> Object:
    """The node's Lease: a new one, or `lease` renewed."""
    name, uid = node["metadata"]["name"], node["metadata"]["uid"]
    spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": rfc3339_micro(now)}
    if lease is not None:
        return {**lease, "spec": {**lease["spec"], **spec}}
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
        "spec": spec,
    }
