"""What a pod asks of a node, as Kubernetes adds it up.

CPU is counted in millicores, everything else in whole units (bytes, pieces). The rule is that of
component-helpers' resource.PodRequests: the sum over containers and sidecars, or what the init containers
need at their height, whichever is more, per resource; then pod-level requests (cpu, memory, hugepages)
replace that, and overhead comes on top.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from kubrick_api.quantity import milli, value
from kubrick_api.resource import Object

Amounts = dict[str, int]

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"
PODS = "pods"
NATIVE = (CPU, MEMORY, EPHEMERAL_STORAGE, PODS)

DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
DEFAULTS: Mapping[str, int] = {CPU: DEFAULT_MILLI_CPU, MEMORY: DEFAULT_MEMORY}
"""What a container without requests is taken to use, when nodes are scored."""


@lru_cache(maxsize=8192)
def amount(resource: str, quantity: str) -> int:
    """A quantity in the unit in which its resource is counted."""
    return milli(quantity) if resource == CPU else value(quantity)


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    """A ResourceList in counted units."""
    if not quantities:
        return {}
    return {name: amount(name, str(quantity)) for name, quantity in quantities.items()}


def is_extended(resource: str) -> bool:
    """Whether a resource is an extended one: has a domain that is not Kubernetes' own."""
    return (
        "/" in resource
        and not resource.startswith(("requests.", "kubernetes.io/"))
        and ".kubernetes.io/" not in resource
    )


def is_scalar(resource: str) -> bool:
    """Whether the scheduler counts a resource beyond the four native ones: extended resources, huge
    pages, attachable volumes and anything prefixed by Kubernetes itself."""
    return (
        is_extended(resource)
        or resource.startswith(("hugepages-", "attachable-volumes-"))
        or "kubernetes.io/" in resource
    )


def _add(total: Amounts, more: Mapping[str, int]) -> None:
    for name, quantity in more.items():
        total[name] = total.get(name, 0) + quantity


def _raise(total: Amounts, other: Mapping[str, int]) -> None:
    for name, quantity in other.items():
        if quantity > total.get(name, 0) or name not in total:
            total[name] = quantity


def _supported_at_pod_level(resource: str) -> bool:
    return resource in (CPU, MEMORY) or resource.startswith("hugepages-")


def _resize_is_infeasible(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "PodResizePending" and c.get("reason") == "Infeasible" for c in conditions)


def _container_requests(container: Object, status: Object | None, infeasible: bool) -> Amounts:
    """A container's requests; with its status (in-place resize), the most of what it asks, has been
    allotted and really has."""
    asked = amounts((container.get("resources") or {}).get("requests"))
    if not status or not status.get("resources"):
        return asked
    result = {} if infeasible else asked
    _raise(result, amounts(status["resources"].get("requests")))
    _raise(result, amounts(status.get("allocatedResources")))
    return result


def _statuses(pod: Object) -> dict[str, Object]:
    status = pod.get("status") or {}
    found: Iterable[Object] = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    return {entry["name"]: entry for entry in found}


def pod_requests(pod: Object, *, assigned: bool = False, defaults: Mapping[str, int] | None = None) -> Amounts:
    """The requests of a pod. `assigned` pods count what their containers were given, too; `defaults` are
    used for containers that don't request these resources."""
    spec = pod["spec"]
    statuses = _statuses(pod) if assigned else {}
    infeasible = bool(statuses) and _resize_is_infeasible(pod)

    def asks(container: Object) -> Amounts:
        found = _container_requests(container, statuses.get(container["name"]), infeasible)
        if defaults:
            for name, quantity in defaults.items():
                found.setdefault(name, quantity)
        return found

    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, asks(container))
    init_containers = spec.get("initContainers")
    if init_containers:
        sidecars: Amounts = {}
        height: Amounts = {}
        for container in init_containers:
            needs = asks(container)
            if container.get("restartPolicy") == "Always":
                _add(total, needs)
                _add(sidecars, needs)
                needs = sidecars
            else:
                _add(needs, sidecars)
            _raise(height, needs)
        _raise(total, height)
    for name, quantity in pod_level_requests(spec).items():
        total[name] = quantity
    if spec.get("overhead"):
        _add(total, amounts(spec["overhead"]))
    return total


def pod_level_requests(spec: Object) -> Amounts:
    """Requests made for the pod as a whole, of the resources that may be."""
    asked = amounts((spec.get("resources") or {}).get("requests"))
    return {name: quantity for name, quantity in asked.items() if _supported_at_pod_level(name)}


def scoring_requests(pod: Object, requests: Amounts, *, assigned: bool = False) -> tuple[int, int]:
    """(millicores, bytes) a pod is taken to use when nodes are scored: a container without a request counts
    100m and 200Mi. With pod-level requests the defaults fill in only what the pod as a whole leaves open."""
    defaults = DEFAULTS
    if pod_level_requests(pod["spec"]):
        defaults = {name: quantity for name, quantity in DEFAULTS.items() if name not in requests}
    if not defaults:
        return requests.get(CPU, 0), requests.get(MEMORY, 0)
    found = pod_requests(pod, assigned=assigned, defaults=defaults)
    return found.get(CPU, 0), found.get(MEMORY, 0)
