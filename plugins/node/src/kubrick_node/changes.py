"""What a pod's worker has to know of another version of its pod. Pure."""

from typing import Any

Object = dict[str, Any]


def is_leaving(pod: Object) -> bool:
    """Whether somebody wants the pod gone."""
    return "deletionTimestamp" in pod["metadata"]


def matters(before: Object, after: Object) -> bool:
    """Whether a change is more than the echo of our own status: others write there too, as the node's controller
    does while the node is not ready."""
    if before["spec"].get("readinessGates") or _readiness(before) != _readiness(after):
        return True
    old, new = before["metadata"], after["metadata"]
    return bool(
        before["spec"] != after["spec"]
        or old.get("annotations") != new.get("annotations")
        or old.get("labels") != new.get("labels")
    )


def _readiness(pod: Object) -> str | None:
    conditions = pod.get("status", {}).get("conditions") or ()
    return next((one["status"] for one in conditions if one["type"] == "Ready"), None)
