"""Judges nodes by their Leases and conditions. Pure.

Source: the node-lifecycle controller's monitorNodeHealth: a node whose Lease was not renewed and whose
status was not written for the grace period is not known to be anything any more.
"""

from typing import Any

from attrs import define

from kubrick_controller.pod import condition

Object = dict[str, Any]

MONITOR_SECONDS = 5.0
GRACE_SECONDS = 50.0
STARTUP_GRACE_SECONDS = 60.0

STOPPED = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
NEVER = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
JUDGED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@define
class Health:
    """What was last seen of one node: the Lease's renew time, Ready's heartbeat, and when (trio time)
    either last moved. A node that never wrote a status has the longer grace from when it was first seen."""

    renewed: str
    heartbeat: str
    seen_at: float
    reported: bool


def ready_condition(node: Object) -> Object | None:
    return condition(node, "Ready")


def observe(health: Health | None, node: Object, lease: Object | None, now: float) -> Health:
    """What is known of the node after another look."""
    renewed = (lease or {}).get("spec", {}).get("renewTime") or ""
    ready = ready_condition(node)
    own = ready is not None and ready.get("reason") not in (STOPPED[0], NEVER[0])
    heartbeat = (ready or {}).get("lastHeartbeatTime") or "" if own else (health.heartbeat if health else "")
    reported = own or (health.reported if health else ready is not None)
    if health is not None and (health.renewed, health.heartbeat) == (renewed, heartbeat):
        health.reported = reported
        return health
    return Health(renewed, heartbeat, now, reported)


def is_silent(health: Health, now: float) -> bool:
    """Whether the grace is over."""
    return now - health.seen_at > (GRACE_SECONDS if health.reported else STARTUP_GRACE_SECONDS)


def unknown_conditions(node: Object, now: str) -> list[Object]:
    """The conditions to write for a node that fell silent: all that the kubelet would report, Unknown.
    Empty when they already are."""
    have = {c["type"]: c for c in node.get("status", {}).get("conditions") or ()}
    wanted: list[Object] = []
    for kind in JUDGED:
        before = have.get(kind)
        if before is None:
            reason, message = NEVER
            created = node["metadata"].get("creationTimestamp", now)
            wanted.append(_unknown(kind, reason, message, created, now))
        elif before["status"] != "Unknown":
            reason, message = STOPPED
            wanted.append(_unknown(kind, reason, message, before.get("lastHeartbeatTime"), now))
    return wanted


def _unknown(kind: str, reason: str, message: str, heartbeat: str | None, now: str) -> Object:
    return {
        "type": kind,
        "status": "Unknown",
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": heartbeat,
        "lastTransitionTime": now,
    }
