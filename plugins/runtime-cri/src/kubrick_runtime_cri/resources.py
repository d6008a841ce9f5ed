"""CPU and memory of a container as CRI wants them: shares, quota, limits, OOM score. Pure.

Source: the kubelet's generateLinuxContainerResources and qos.GetContainerOOMScoreAdjust.
"""

from typing import Any

from kubrick_api.quantity import milli, value
from kubrick_node.qos import PERIOD, cpu_quota, cpu_shares, pod_cgroup_limits, qos_class

Object = dict[str, Any]

GUARANTEED_SCORE = -997
BEST_EFFORT_SCORE = 1000
SYSTEM_CRITICAL = 2_000_000_000


def oom_score(pod: Object, container: Object, memory_capacity: int) -> int:
    """How ready the kernel is to kill the container: less ready the more of the machine it asked for."""
    if (pod["spec"].get("priority") or 0) >= SYSTEM_CRITICAL:
        return GUARANTEED_SCORE
    quality = qos_class(pod)
    if quality == "Guaranteed":
        return GUARANTEED_SCORE
    if quality == "BestEffort" or not memory_capacity:
        return BEST_EFFORT_SCORE
    requested = _amount(container, "requests", "memory") or _amount(container, "limits", "memory")
    score = 1000 - 1000 * requested // memory_capacity
    return min(max(score, 1000 + GUARANTEED_SCORE), BEST_EFFORT_SCORE - 1)


def container_resources(pod: Object, container: Object, memory_capacity: int, cgroup_v2: bool) -> Object:
    """A container's LinuxContainerResources."""
    request, limit = _cpu(container)
    found: Object = {
        "cpu_shares": cpu_shares(request),
        "cpu_quota": cpu_quota(limit) if limit else 0,
        "cpu_period": PERIOD,
        "memory_limit_in_bytes": _amount(container, "limits", "memory"),
        "oom_score_adj": oom_score(pod, container, memory_capacity),
    }
    limits = (container.get("resources") or {}).get("limits") or {}
    pages = [
        {"page_size": name.removeprefix("hugepages-").removesuffix("i") + "B", "limit": value(amount)}
        for name, amount in sorted(limits.items())
        if name.startswith("hugepages-")
    ]
    if pages:
        found["hugepage_limits"] = pages
    if cgroup_v2:
        # The whole container is killed when one process of it runs out of memory.
        found["unified"] = {"memory.oom.group": "1"}
    return found


def pod_resources(pod: Object) -> Object:
    """The whole pod's LinuxContainerResources."""
    limits = pod_cgroup_limits(pod)
    return {
        "cpu_shares": limits.shares,
        "cpu_quota": limits.quota or 0,
        "cpu_period": PERIOD,
        "memory_limit_in_bytes": limits.memory or 0,
    }


def _cpu(container: Object) -> tuple[int, int]:
    """Requested (else: the limit) and limit, in thousandths of a CPU."""
    resources = container.get("resources") or {}
    limit = milli((resources.get("limits") or {}).get("cpu", "0"))
    request = (resources.get("requests") or {}).get("cpu")
    return (limit if request is None else milli(request)), limit


def _amount(container: Object, kind: str, name: str) -> int:
    return value(((container.get("resources") or {}).get(kind) or {}).get(name, "0"))
