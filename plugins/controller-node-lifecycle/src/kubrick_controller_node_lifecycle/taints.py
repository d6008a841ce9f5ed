"""Which taints a node should have, and how fast nodes may be emptied. Pure.

Source: the node-lifecycle controller: NoSchedule taints mirror conditions at once; NoExecute taints for
nodes that are not ready go through a rate limit per zone that slows or stops when much of a zone is down.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define

from kubrick_controller_node_lifecycle.health import ready_condition

Object = dict[str, Any]

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
OURS = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *PRESSURES.values()}

EVICTION_RATE = 0.1
SECONDARY_RATE = 0.01
LARGE_ZONE = 50
UNHEALTHY_SHARE = 0.55


def no_schedule_keys(node: Object) -> list[str]:
    """Keys of the NoSchedule taints that the node's conditions call for."""
    conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions") or ()}
    keys = [key for kind, key in PRESSURES.items() if conditions.get(kind) == "True"]
    ready = conditions.get("Ready")
    if ready == "False":
        keys.append(NOT_READY)
    elif ready == "Unknown":
        keys.append(UNREACHABLE)
    elif ready is None and _has(node, NOT_READY, "NoSchedule"):
        keys.append(NOT_READY)  # a new node keeps what admission gave it until it reports
    if node["spec"].get("unschedulable"):
        keys.append(UNSCHEDULABLE)
    return sorted(keys)


def no_execute_key(node: Object) -> str:
    """The key of the NoExecute taint that a node which isn't ready gets; "" when it is ready."""
    ready = ready_condition(node)
    if ready is None or ready["status"] == "True":
        return ""
    return UNREACHABLE if ready["status"] == "Unknown" else NOT_READY


def _has(node: Object, key: str, effect: str) -> bool:
    return any(t["key"] == key and t.get("effect") == effect for t in node["spec"].get("taints") or ())


def wanted_taints(node: Object, now: str) -> list[Object] | None:
    """The node's taints with the NoSchedule ones put right, or None when they are."""
    keys = no_schedule_keys(node)
    return _replaced(node, "NoSchedule", keys, now)


def wanted_no_execute(node: Object, key: str, now: str) -> list[Object] | None:
    """The node's taints with exactly `key` ("": none) as our NoExecute taint, or None when they are."""
    return _replaced(node, "NoExecute", [key] if key else [], now)


def wanted_at_once(node: Object, now: str) -> list[Object] | None:
    """The node's taints with what no rate limit holds up: the NoSchedule ones put right and, on a node that
    is ready, our NoExecute one gone. None when they are like that."""
    taints = wanted_taints(node, now)
    if no_execute_key(node):
        return taints
    base = node if taints is None else {**node, "spec": {**node["spec"], "taints": taints}}
    cleared = wanted_no_execute(base, "", now)
    return taints if cleared is None else cleared


def _replaced(node: Object, effect: str, keys: Sequence[str], now: str) -> list[Object] | None:
    taints: list[Object] = node["spec"].get("taints") or []
    kept = [t for t in taints if t.get("effect") != effect or t["key"] not in OURS or t["key"] in keys]
    have = {t["key"] for t in kept if t.get("effect") == effect}
    missing = [key for key in keys if key not in have]
    if not missing and len(kept) == len(taints):
        return None
    return kept + [{"key": key, "effect": effect, "timeAdded": now} for key in missing]


def zone_of(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    region = labels.get("topology.kubernetes.io/region") or labels.get("failure-domain.beta.kubernetes.io/region", "")
    zone = labels.get("topology.kubernetes.io/zone") or labels.get("failure-domain.beta.kubernetes.io/zone", "")
    return f"{region}:{zone}"


def zone_rates(zones: dict[str, tuple[int, int]]) -> dict[str, float]:
    """How many nodes a second may be emptied in each zone, given (nodes, nodes not ready) of each. When
    every node of every zone is down it is more likely that the network is: nothing is emptied then."""
    states = {zone: _state(total, down) for zone, (total, down) in zones.items()}
    if states and all(state == "full" for state in states.values()):
        return dict.fromkeys(zones, 0.0)
    rates = {}
    for zone, (total, _) in zones.items():
        partial = SECONDARY_RATE if total > LARGE_ZONE else 0.0
        rates[zone] = partial if states[zone] == "partial" else EVICTION_RATE
    return rates


def _state(total: int, down: int) -> str:
    if total and down == total:
        return "full"
    if down > 2 and down / total >= UNHEALTHY_SHARE:
        return "partial"
    return "normal"


@define
class Bucket:
    """A token bucket of one: at `rate` a second, one may be saved up."""

    tokens: float = 1.0
    at: float = 0.0

    def take(self, rate: float, now: float) -> bool:
        self.tokens = min(1.0, self.tokens + rate * (now - self.at))
        self.at = now
        if rate > 0 and self.tokens >= 1.0:
            self.tokens -= 1.0
            return True
        return False


def count_zones(nodes: Iterable[Object]) -> dict[str, tuple[int, int]]:
    zones: dict[str, tuple[int, int]] = {}
    for node in nodes:
        total, down = zones.get(zone_of(node), (0, 0))
        zones[zone_of(node)] = (total + 1, down + bool(no_execute_key(node)))
    return zones
