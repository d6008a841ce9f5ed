"""A Deployment's status: the counts, and the conditions with Kubernetes' reasons and messages."""

from collections.abc import Iterable, Sequence
from typing import Any

from kubrick_controller.pod import seconds
from kubrick_controller_deployment.draft import Draft
from kubrick_controller_deployment.sizes import MAX_INT32, max_unavailable, replicas_of

Object = dict[str, Any]

AVAILABLE = "Available"
PROGRESSING = "Progressing"
REPLICA_FAILURE = "ReplicaFailure"

MINIMUM_AVAILABLE = "MinimumReplicasAvailable"
MINIMUM_UNAVAILABLE = "MinimumReplicasUnavailable"
NEW_REPLICA_SET = "NewReplicaSetCreated"
FOUND_REPLICA_SET = "FoundNewReplicaSet"
FAILED_CREATE = "ReplicaSetCreateError"
UPDATED = "ReplicaSetUpdated"
COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"


def find(conditions: Iterable[Object], type: str) -> Object | None:
    for condition in conditions:
        if condition["type"] == type:
            return condition
    return None


def make(type: str, status: str, reason: str, message: str, now: str) -> Object:
    return {
        "type": type,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def put(conditions: Sequence[Object], condition: Object) -> list[Object]:
    """The conditions with this one in place of the last of its type. One with the same status and
    reason stays as it is; one with the same status keeps the time of its last transition."""
    known = find(conditions, condition["type"])
    if known is not None and known["status"] == condition["status"]:
        if known.get("reason") == condition["reason"]:
            return list(conditions)
        condition = {**condition, "lastTransitionTime": known.get("lastTransitionTime")}
    return [*drop(conditions, condition["type"]), condition]


def drop(conditions: Sequence[Object], type: str) -> list[Object]:
    return [condition for condition in conditions if condition["type"] != type]


def deadline_of(deployment: Object) -> int | None:
    """progressDeadlineSeconds, or None when there is none (not set, or the largest number)."""
    deadline: int | None = deployment["spec"].get("progressDeadlineSeconds")
    return None if deadline is None or deadline == MAX_INT32 else deadline


def count(deployment: Object, sets: Sequence[Draft], new: Draft | None, now: str) -> Object:
    """The counts, and whether the Deployment is available; other conditions as they were."""
    status = deployment.get("status", {})
    available = sum(each.available for each in sets)
    conditions = list(status.get("conditions") or ())
    if available >= replicas_of(deployment) - max_unavailable(deployment):
        condition = make(AVAILABLE, "True", MINIMUM_AVAILABLE, "Deployment has minimum availability.", now)
    else:
        condition = make(AVAILABLE, "False", MINIMUM_UNAVAILABLE, "Deployment does not have minimum availability.", now)
    counted: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    counts = {
        "replicas": sum(each.status("replicas") for each in sets),
        "updatedReplicas": new.status("replicas") if new else 0,
        "readyReplicas": sum(each.status("readyReplicas") for each in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(each.replicas for each in sets) - available),
    }
    counted.update({name: number for name, number in counts.items() if number})
    counted["terminatingReplicas"] = sum(each.status("terminatingReplicas") for each in sets)
    if "collisionCount" in status:
        counted["collisionCount"] = status["collisionCount"]
    counted["conditions"] = put(conditions, condition)
    return counted


def is_complete(deployment: Object, status: Object) -> bool:
    """Every pod is of the new template and available, and there are no others."""
    replicas = replicas_of(deployment)
    counts = (status.get(count, 0) for count in ("updatedReplicas", "replicas", "availableReplicas"))
    observed: int = status.get("observedGeneration", 0)
    return all(count == replicas for count in counts) and observed >= deployment["metadata"].get("generation", 0)


def has_moved(before: Object, after: Object) -> bool:
    """Whether a rollout came further between two statuses."""

    def old_pods(status: Object) -> int:
        old: int = status.get("replicas", 0) - status.get("updatedReplicas", 0)
        return old

    return (
        after.get("updatedReplicas", 0) > before.get("updatedReplicas", 0)
        or old_pods(after) < old_pods(before)
        or after.get("readyReplicas", 0) > before.get("readyReplicas", 0)
        or after.get("availableReplicas", 0) > before.get("availableReplicas", 0)
    )


def has_timed_out(deployment: Object, conditions: Sequence[Object], now: float) -> bool:
    """Whether the rollout has not moved for longer than its deadline."""
    deadline, progressing = deadline_of(deployment), find(conditions, PROGRESSING)
    if deadline is None or progressing is None or progressing.get("reason") == COMPLETE:
        return False
    if progressing.get("reason") == TIMED_OUT:
        return True
    return (seconds(progressing.get("lastUpdateTime")) or 0.0) + deadline < now


def progress(
    deployment: Object, counted: Object, sets: Sequence[Draft], new: Draft | None, now: float, timestamp: str
) -> Object:
    """`counted` with the conditions a rollout has: Progressing and ReplicaFailure."""
    before = deployment.get("status", {})
    conditions = counted["conditions"]
    subject = f'ReplicaSet "{new.name}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    known = find(conditions, PROGRESSING)
    if deadline_of(deployment) is None:
        conditions = drop(conditions, PROGRESSING)
    elif not (
        counted.get("replicas", 0) == counted.get("updatedReplicas", 0)
        and known is not None
        and known.get("reason") == COMPLETE
    ):
        if is_complete(deployment, counted):
            message = f"{subject} has successfully progressed."
            conditions = put(conditions, make(PROGRESSING, "True", COMPLETE, message, timestamp))
        elif has_moved(before, counted):
            condition = make(PROGRESSING, "True", UPDATED, f"{subject} is progressing.", timestamp)
            if known is not None and known["status"] == "True":
                condition["lastTransitionTime"] = known.get("lastTransitionTime")
            conditions = put(drop(conditions, PROGRESSING), condition)
        elif has_timed_out(deployment, conditions, now):
            message = f"{subject} has timed out progressing."
            conditions = put(conditions, make(PROGRESSING, "False", TIMED_OUT, message, timestamp))
    failure = replica_failure(sets, new)
    conditions = put(conditions, failure) if failure else drop(conditions, REPLICA_FAILURE)
    return {**counted, "conditions": conditions}


def replica_failure(sets: Sequence[Draft], new: Draft | None) -> Object | None:
    """The failure a ReplicaSet reports, the new one's first."""
    for each in sorted(sets, key=lambda draft: draft is not new):
        found = find(each.obj.get("status", {}).get("conditions") or (), REPLICA_FAILURE)
        if found is not None:
            return make(
                REPLICA_FAILURE,
                found["status"],
                found.get("reason", ""),
                found.get("message", ""),
                found.get("lastTransitionTime", ""),
            )
    return None


def check_again(deployment: Object, status: Object, now: float) -> float | None:
    """In how many seconds to look whether the deadline has passed; None: no need to."""
    deadline, progressing = deadline_of(deployment), find(status.get("conditions") or (), PROGRESSING)
    if deadline is None or progressing is None or is_complete(deployment, status):
        return None
    if progressing.get("reason") == TIMED_OUT:
        return None
    after = (seconds(progressing.get("lastUpdateTime")) or now) + deadline - now
    return max(0.0, after) + 1
