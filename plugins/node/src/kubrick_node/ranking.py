"""Which pod goes first when a node is short of something, which pods use more disk than they may, and what they are
told. Pure.

Source: the kubelet's eviction helpers. Pods that use more than they asked for go first, then those of the lowest
priority, then those that use the most beyond what they asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field, frozen

from kubrick_api.quantity import Quantity
from kubrick_node.eviction import (
    IMAGEFS,
    IMAGEFS_INODES,
    MEMORY,
    NODEFS,
    NODEFS_INODES,
    RESOURCES,
    Observed,
    Threshold,
    bytes_written,
    written,
)
from kubrick_node.qos import pod_requests, summed_limit

Object = dict[str, Any]

SYSTEM_CRITICAL = 2_000_000_000
CONFIG_SOURCE, CONFIG_MIRROR = "kubernetes.io/config.source", "kubernetes.io/config.mirror"
STORAGE = "ephemeral-storage"


@frozen
class Space:
    """What something takes of a disk."""

    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: "Space") -> "Space":
        return Space(self.bytes + other.bytes, self.inodes + other.inodes)


@frozen
class ContainerUsage:
    """What one container uses. `rootfs` is what it has written beyond its image, `memory` its working set."""

    name: str
    memory: int = 0
    rootfs: Space = Space()
    logs: Space = Space()


@frozen
class PodUsage:
    """What one pod uses. `volumes` are those on the node's disk or in its memory, by name; `own` is what the node
    itself writes for it."""

    containers: tuple[ContainerUsage, ...] = ()
    volumes: Mapping[str, Space] = field(factory=dict)
    own: Space = Space()
    processes: int = 0

    @property
    def memory(self) -> int:
        return sum(one.memory for one in self.containers)


def is_critical(pod: Object) -> bool:
    """Static pods, their mirrors, and those of the system's priorities: they are never evicted."""
    annotations = pod["metadata"].get("annotations") or {}
    if annotations.get(CONFIG_SOURCE, "api") != "api" or CONFIG_MIRROR in annotations:
        return True
    return _priority(pod) >= SYSTEM_CRITICAL


def _priority(pod: Object) -> int:
    priority: int = pod["spec"].get("priority") or 0
    return priority


def on_disk(pod: Object) -> list[str]:
    """The names of the volumes whose content counts as the pod's own use of the disk."""
    return [volume["name"] for volume in pod["spec"].get("volumes") or () if _is_on_disk(volume)]


def _is_on_disk(volume: Object) -> bool:
    return "configMap" in volume or ("emptyDir" in volume and not (volume["emptyDir"] or {}).get("medium"))


# Who goes first


def rank(signal: str, pods: Iterable[Object], usage: Mapping[str, PodUsage], own_imagefs: bool = False) -> list[Object]:
    """The pods, the first to go first. `own_imagefs`: images and containers' files are on a disk of their own. Pods
    whose usage (by uid) isn't known go before all others."""
    taken = _measure(signal, own_imagefs)

    def place(pod: Object) -> tuple[bool, bool, int, int]:
        used = usage.get(pod["metadata"]["uid"])
        if used is None:
            return False, False, 0, 0
        amount = taken(pod, used)
        asked = pod_requests(pod).get(RESOURCES[signal])
        beyond = amount - (asked.value if asked else 0)
        return True, not beyond > 0 if signal not in _UNASKED else False, _priority(pod), -beyond

    return sorted(pods, key=place)


_UNASKED = ("pid.available",)


def _measure(signal: str, own_imagefs: bool) -> Callable[[Object, PodUsage], int]:
    if signal == MEMORY:
        return lambda pod, used: used.memory
    if signal not in (NODEFS, NODEFS_INODES, IMAGEFS, IMAGEFS_INODES):
        return lambda pod, used: used.processes
    images = signal in (IMAGEFS, IMAGEFS_INODES)

    def space(pod: Object, used: PodUsage) -> int:
        total = Space()
        for one in used.containers:
            if images or not own_imagefs:
                total += one.rootfs
            if not (images and own_imagefs):
                total += one.logs
        if not (images and own_imagefs):
            for name in on_disk(pod):
                total += used.volumes.get(name, Space())
        return total.inodes if signal in (NODEFS_INODES, IMAGEFS_INODES) else total.bytes

    return space


def shortage_message(
    pod: Object, used: PodUsage | None, met: Iterable[Threshold], observed: Mapping[str, Observed]
) -> str:
    """Why this pod had to go; `met` has the threshold first that it goes for."""
    met = list(met)
    resource = RESOURCES[met[0].signal]
    text = f"The node was low on resource: {resource}. "
    for one in met:
        seen = observed.get(one.signal)
        if RESOURCES[one.signal] == resource and seen is not None:
            quantity = written(one.signal, one.amount.of(seen.capacity))
            text += f"Threshold quantity: {quantity}, available: {written(one.signal, seen.available)}. "
            break
    if used is None or resource not in ("memory", STORAGE):
        return text
    spec = pod["spec"]
    requests = {
        one["name"]: ((one.get("resources") or {}).get("requests") or {}).get(resource, "0")
        for one in (*spec["containers"], *(spec.get("initContainers") or ()))
    }
    for container in used.containers:
        if container.name not in requests:
            continue
        amount = container.memory if resource == "memory" else container.rootfs.bytes + container.logs.bytes
        asked = Quantity(requests[container.name])
        if amount > asked.value:
            text += f"Container {container.name} was using {bytes_written(amount)}, request is {asked}, "
            text += f"has larger consumption of {resource}. "
    return text


# Who uses more disk than it may


def has_storage_limits(pod: Object) -> bool:
    """Whether `excess` could find anything."""
    if summed_limit(pod, STORAGE) is not None:
        return True
    return any((volume.get("emptyDir") or {}).get("sizeLimit") for volume in pod["spec"].get("volumes") or ())


def excess(pod: Object, used: PodUsage, own_imagefs: bool = False) -> str:
    """What the pod is told if it uses more than it may; "" if it doesn't."""
    for volume in pod["spec"].get("volumes") or ():
        limit = Quantity((volume.get("emptyDir") or {}).get("sizeLimit") or "0")
        space = used.volumes.get(volume["name"])
        if limit and space is not None and space.bytes > limit.value:
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    total = summed_limit(pod, STORAGE)
    if total is not None:
        spaces = [one.rootfs + one.logs for one in used.containers]
        spaces += [used.volumes[name] for name in on_disk(pod) if name in used.volumes]
        if used.own.bytes + sum(one.bytes for one in spaces) > total.value:
            return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    limits = {
        c["name"]: ((c.get("resources") or {}).get("limits") or {}).get(STORAGE) for c in pod["spec"]["containers"]
    }
    for one in used.containers:
        limit = Quantity(limits.get(one.name) or "0")
        amount = one.logs.bytes + (0 if own_imagefs else one.rootfs.bytes)
        if limit and amount > limit.value:
            return f'Container {one.name} exceeded its local ephemeral storage limit "{limit}". '
    return ""
