"""Whether a node takes a pod that was bound to it. Pure.

Source: the kubelet's admission handlers: pressure, sysctls, then the scheduler's filters once more (affinity,
taints that evict, resources, host ports). A pod that is refused fails, with the reason and message of here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from kubrick_api.quantity import Quantity
from kubrick_node.qos import pod_requests, qos_class
from kubrick_node.ranking import is_critical

Object = dict[str, Any]

AFFINITY = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
PORTS = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
NODE_NAME = "Predicate NodeName failed: node(s) didn't match the requested node name"
TAINTS = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
OS_LABEL = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
OS_FIELD = "Failed to admit pod as the OS field doesn't match node OS"
MEMORY_PRESSURE_TAINT = "node.kubernetes.io/memory-pressure"
SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)


@frozen
class Rejection:
    """Why a pod fails: status.reason, and status.message after "Pod was rejected: "."""

    reason: str
    message: str

    @property
    def status_message(self) -> str:
        return f"Pod was rejected: {self.message}"


def admit(
    pod: Object,
    node: Object,
    others: Iterable[Object],
    allocatable: Mapping[str, str],
    pressures: Sequence[str] = (),
    allowed_sysctls: Sequence[str] = (),
    app_armor: bool = True,
) -> Rejection | None:
    """None when the node takes the pod. `others` are the pods it runs, `pressures` the types of its conditions
    that are true (MemoryPressure, ...), `app_armor` says whether the machine has it."""
    others = list(others)
    return (
        _pressure(pod, pressures)
        or _sysctls(pod, allowed_sysctls)
        or _operating_system(pod, node)
        or lacks(pod, others, allocatable)
        or _placement(pod, node)
        or _ports(pod, others)
        or _taints(pod, node)
        or _app_armor(pod, app_armor)
        or _strict_groups(pod, node)
    )


def _pressure(pod: Object, pressures: Sequence[str]) -> Rejection | None:
    if not pressures or is_critical(pod):
        return None
    if list(pressures) == ["MemoryPressure"]:
        if qos_class(pod) != "BestEffort":
            return None
        taint = {"key": MEMORY_PRESSURE_TAINT, "effect": "NoSchedule"}
        if any(tolerates(toleration, taint) for toleration in pod["spec"].get("tolerations") or ()):
            return None
    return Rejection("Evicted", f"The node had condition: [{' '.join(pressures)}]. ")


def _sysctls(pod: Object, allowed: Sequence[str]) -> Rejection | None:
    security = pod["spec"].get("securityContext") or {}
    for sysctl in security.get("sysctls") or ():
        name = sysctl["name"].replace("/", ".")
        if name in SAFE_SYSCTLS or any(_pattern_covers(pattern, name) for pattern in allowed):
            continue
        return Rejection("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')
    return None


def _pattern_covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _operating_system(pod: Object, node: Object) -> Rejection | None:
    have = (node["metadata"].get("labels") or {}).get("kubernetes.io/os", "linux")
    wanted = (pod["spec"].get("nodeSelector") or {}).get("kubernetes.io/os", have)
    if wanted != have:
        return Rejection("PodOSSelectorNodeLabelDoesNotMatch", OS_LABEL)
    if (pod["spec"].get("os") or {}).get("name", have) != have:
        return Rejection("PodOSNotSupported", OS_FIELD)
    return None


def lacks(pod: Object, others: Sequence[Object], allocatable: Mapping[str, str]) -> Rejection | None:
    """What the node hasn't enough of for one pod more."""
    room = Quantity(allocatable.get("pods", "0")).value
    if "pods" in allocatable and len(others) + 1 > room:
        return _out_of("pods", 1, len(others), room)
    asked = pod_requests(pod)
    if not any(asked.values()):
        return None
    used = [pod_requests(other) for other in others]
    for name, amount in asked.items():
        if not amount:
            continue
        capacity = Quantity(allocatable.get(name, "0"))
        taken = sum((requests[name] for requests in used if name in requests), Quantity("0"))
        if taken + amount > capacity:
            if name == "cpu":
                return _out_of(name, amount.milli, taken.milli, capacity.milli)
            return _out_of(name, amount.value, taken.value, capacity.value)
    return None


def _out_of(name: str, requested: int, used: int, capacity: int) -> Rejection:
    text = f"requested: {requested}, used: {used}, capacity: {capacity}"
    return Rejection(f"OutOf{name}", f"Node didn't have enough resource: {name}, {text}")


def _placement(pod: Object, node: Object) -> Rejection | None:
    spec = pod["spec"]
    if spec.get("nodeName") and spec["nodeName"] != node["metadata"]["name"]:
        return Rejection("NodeName", NODE_NAME)
    return None if matches_node(spec, node) else Rejection("NodeAffinity", AFFINITY)


def matches_node(spec: Object, node: Object) -> bool:
    """nodeSelector and the required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        (term.get("matchExpressions") or term.get("matchFields"))
        and all(_holds(labels, one) for one in term.get("matchExpressions") or ())
        and all(_holds(fields, one) for one in term.get("matchFields") or ())
        for term in required.get("nodeSelectorTerms") or ()
    )


def _holds(values: Mapping[str, str], requirement: Object) -> bool:
    value = values.get(requirement["key"])
    wanted = list(requirement.get("values") or ())
    match requirement["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                have, limit = int(value or ""), int(wanted[0])
            except (ValueError, IndexError):
                return False
            return have > limit if operator == "Gt" else have < limit
    return False


def host_ports(pod: Object) -> set[tuple[str, str, int]]:
    """(address, protocol, port) that the pod takes on the machine; "0.0.0.0" is any address."""
    return {
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])  # noqa: S104 -- what a pod says
        for listed in ("initContainers", "containers")
        for container in pod["spec"].get(listed) or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _ports(pod: Object, others: Sequence[Object]) -> Rejection | None:
    wanted = host_ports(pod)
    if not wanted:
        return None
    anywhere = ("0.0.0.0", "::")  # noqa: S104 -- what a pod says
    for other in others:
        for address, protocol, port in host_ports(other):
            for mine in wanted:
                overlap = mine[0] == address or mine[0] in anywhere or address in anywhere
                if overlap and mine[1] == protocol and mine[2] == port:
                    return Rejection("NodePorts", PORTS)
    return None


def _taints(pod: Object, node: Object) -> Rejection | None:
    """Only taints that evict: a pod that tolerates scheduling no more may have been bound before."""
    tolerations = pod["spec"].get("tolerations") or ()
    for taint in node.get("spec", {}).get("taints") or ():
        if taint["effect"] == "NoExecute" and not any(tolerates(toleration, taint) for toleration in tolerations):
            return Rejection("TaintToleration", TAINTS)
    return None


def _app_armor(pod: Object, there: bool) -> Rejection | None:
    if there or not wants_app_armor(pod):
        return None
    return Rejection("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")


def _strict_groups(pod: Object, node: Object) -> Rejection | None:
    policy = (pod["spec"].get("securityContext") or {}).get("supplementalGroupsPolicy")
    features = (node.get("status") or {}).get("features") or {}
    if policy != "Strict" or features.get("supplementalGroupsPolicy"):
        return None
    return Rejection(
        "SupplementalGroupsPolicyNotSupported", f"SupplementalGroupsPolicy={policy} is not supported in this node"
    )


def wants_app_armor(pod: Object) -> bool:
    """Whether a container of the pod is to be confined by AppArmor."""
    spec = pod["spec"]
    whole = (spec.get("securityContext") or {}).get("appArmorProfile")
    for listed in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(listed) or ():
            profile = (container.get("securityContext") or {}).get("appArmorProfile") or whole
            if profile and profile["type"] != "Unconfined":
                return True
    return False


def tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    key = toleration.get("key", "")
    if key and key != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")
