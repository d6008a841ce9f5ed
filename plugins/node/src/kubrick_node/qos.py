"""A pod's quality of service class, its cgroup and what that cgroup allows. Pure.

Source: KEP-753's sum of requests (sidecars count beside what follows them), the kubelet's qos package and
ResourceConfigForPod. The tree is ROOT/kubepods/[burstable|besteffort/]podUID, written as slices for systemd.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from attrs import frozen

from kubrick_api.quantity import Quantity
from kubrick_node.plan import is_sidecar

Object = dict[str, Any]
Class = Literal["Guaranteed", "Burstable", "BestEffort"]

SHARES_LEAST, SHARES_A_CPU = 2, 1024
PERIOD = 100_000
QUOTA_LEAST = 1000


@frozen
class CgroupLimits:
    """What a cgroup allows; None: no limit. `shares` are cgroup v1's (weight is worked out from them)."""

    shares: int = SHARES_LEAST
    quota: int | None = None
    memory: int | None = None
    pids: int | None = None

    @property
    def weight(self) -> int:
        """cgroup v2's cpu.weight for `shares` (1 to 10000)."""
        return 1 + (max(self.shares, 2) - 2) * 9999 // 262142


def all_containers(pod: Object) -> Iterator[Object]:
    spec = pod["spec"]
    yield from spec.get("initContainers") or ()
    yield from spec["containers"]


def qos_class(pod: Object) -> Class:
    """The class that the API server wrote, or the same worked out."""
    written = pod.get("status", {}).get("qosClass")
    if written:
        known: Class = written
        return known
    guaranteed, anything = True, False
    for container in all_containers(pod):
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            limit = Quantity(limits.get(name) or "0")
            request = Quantity(requests.get(name) or limits.get(name) or "0")
            anything = anything or bool(limit) or bool(request)
            guaranteed = guaranteed and bool(limit) and limit == request
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def pod_requests(pod: Object) -> dict[str, Quantity]:
    """What the pod asks for: the most it needs at any moment, overhead included."""
    return _with_overhead(pod, _at_once(pod, "requests"))


def pod_limits(pod: Object, name: str) -> Quantity | None:
    """The pod's limit; None when a container (or the pod) has none."""
    level = ((pod["spec"].get("resources") or {}).get("limits") or {}).get(name)
    if level:
        return Quantity(level)
    if any(name not in ((c.get("resources") or {}).get("limits") or {}) for c in all_containers(pod)):
        return None
    return _with_overhead(pod, _at_once(pod, "limits")).get(name)


def summed_limit(pod: Object, name: str) -> Quantity | None:
    """The sum of the limits that there are, whoever has none; None when nobody has one."""
    return _at_once(pod, "limits").get(name)


def _at_once(pod: Object, kind: str) -> dict[str, Quantity]:
    spec = pod["spec"]
    sidecars: dict[str, Quantity] = {}
    most: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        own = _amounts(container, kind)
        if is_sidecar(container):
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        _raise(most, own)
    running = dict(sidecars)
    for container in spec["containers"]:
        _add(running, _amounts(container, kind))
    _raise(most, running)
    level = (spec.get("resources") or {}).get(kind) or {}
    return {**most, **{name: Quantity(text) for name, text in level.items()}}


def _amounts(container: Object, kind: str) -> dict[str, Quantity]:
    found: Mapping[str, str] = (container.get("resources") or {}).get(kind) or {}
    return {name: Quantity(text) for name, text in found.items()}


def _with_overhead(pod: Object, amounts: dict[str, Quantity]) -> dict[str, Quantity]:
    _add(amounts, {name: Quantity(text) for name, text in (pod["spec"].get("overhead") or {}).items()})
    return amounts


def _add(total: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def _raise(most: dict[str, Quantity], other: Mapping[str, Quantity]) -> None:
    for name, amount in other.items():
        if name not in most or most[name] < amount:
            most[name] = amount


def cpu_shares(milli: int) -> int:
    return max(SHARES_LEAST, min(milli * SHARES_A_CPU // 1000, 262144))


def cpu_quota(milli: int) -> int:
    return max(QUOTA_LEAST, milli * PERIOD // 1000)


def pod_cgroup_limits(pod: Object, pids: int | None = None) -> CgroupLimits:
    """What the pod's own cgroup allows."""
    request = pod_requests(pod).get("cpu")
    cpu, memory = pod_limits(pod, "cpu"), pod_limits(pod, "memory")
    shares = cpu_shares(request.milli if request else 0)
    quota = cpu_quota(cpu.milli) if cpu else None
    return CgroupLimits(shares, quota, memory.value if memory else None, pids)


def class_shares(pods: Iterable[Object]) -> int:
    """The shares of the burstable class: the sum of what its pods ask for."""
    asked = (pod_requests(pod).get("cpu") for pod in pods)
    return cpu_shares(sum(amount.milli for amount in asked if amount))


def cgroup_parts(pod: Object) -> tuple[str, ...]:
    """The names from the root of pods down to the pod's cgroup."""
    kind = qos_class(pod)
    middle = () if kind == "Guaranteed" else (kind.lower(),)
    return ("kubepods", *middle, f"pod{pod['metadata']['uid']}")


def cgroup_parent(parts: Iterable[str], driver: Literal["cgroupfs", "systemd"], root: str = "/") -> str:
    """How a runtime is told of it: a path for cgroupfs, the last slice's name for systemd."""
    parts = tuple(parts)
    if driver == "systemd":
        return "-".join(part.replace("-", "_") for part in parts) + ".slice"
    return "/".join([root.rstrip("/"), *parts])
