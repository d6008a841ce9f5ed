"""What a pod's status means to a controller: finished, active, ready, available; and what it writes there."""

from datetime import datetime
from typing import Any

Object = dict[str, Any]
FINISHED = ("Succeeded", "Failed")


def is_finished(pod: Object) -> bool:
    """All its containers ended, for good."""
    return pod.get("status", {}).get("phase") in FINISHED


def is_active(pod: Object) -> bool:
    """Neither finished nor on its way out."""
    return "deletionTimestamp" not in pod["metadata"] and not is_finished(pod)


def is_terminating(pod: Object) -> bool:
    """On its way out, but not finished."""
    return "deletionTimestamp" in pod["metadata"] and not is_finished(pod)


def condition(obj: Object, type: str) -> Object | None:
    """The status condition of that type, of a pod or any other object."""
    found: Object
    for found in obj.get("status", {}).get("conditions") or ():
        if found["type"] == type:
            return found
    return None


def is_ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is True."""
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def ready_since(pod: Object) -> float | None:
    """When the Ready condition last changed, in seconds since the epoch; None if it never did."""
    ready = condition(pod, "Ready")
    return seconds(ready.get("lastTransitionTime")) if ready is not None else None


def available_in(pod: Object, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until a ready pod counts as available: 0 if it does already, None if it is not ready."""
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, since + min_ready_seconds - now)


def seconds(timestamp: str | None) -> float | None:
    """A Kubernetes Time as seconds since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else None


def disruption(pod: Object, reason: str, message: str, now: str) -> Object:
    """The condition DisruptionTarget that a controller leaves on a pod it is about to delete. `now` is a Time."""
    made: Object = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now,
    }
    if generation := pod["metadata"].get("generation"):
        made["observedGeneration"] = generation
    return made
