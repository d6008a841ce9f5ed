"""Containers that the runtime has no memory of, but the pod's status has. Pure.

They ended with the machine, or were taken away when the agent last ended in order. To the kubelet they ran and are
gone: a container that is started anew counts on from there, and one that is not to be restarted has failed rather
than never run. Source: the kubelet's convertToAPIContainerStatuses and calcRestartCountByLogDir.
"""

from datetime import datetime
from typing import Any

from attrs import evolve

from kubrick_node.runtime import ContainerState, PodState

Object = dict[str, Any]

STATUSES = {
    "initContainers": "initContainerStatuses",
    "containers": "containerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}
REASON = "ContainerStatusUnknown"
MESSAGE = "The container could not be located when the pod was terminated"
KILLED = 137
SANDBOX = "lost"
"""No sandbox's id: init containers have to run again."""


def with_lost(pod: Object, state: PodState) -> PodState:
    """`state` with an exited container for each that only the pod's status knows of."""
    spec, status = pod["spec"], pod.get("status", {})
    known = {container.name for container in state.containers}
    found = [
        lost(entry)
        for listed in STATUSES
        if any(container["name"] not in known for container in spec.get(listed) or ())
        for entry in status.get(STATUSES[listed]) or ()
        if entry.get("containerID") and entry["name"] not in known
    ]
    return evolve(state, containers=(*state.containers, *found)) if found else state


def lost(entry: Object) -> ContainerState:
    """What a container status says of a container that is gone."""
    state = entry.get("state") or {}
    ended = state.get("terminated") or (not state.get("running") and (entry.get("lastState") or {}).get("terminated"))
    if not ended:
        started = (state.get("running") or {}).get("startedAt")
        ended = {"exitCode": KILLED, "reason": REASON, "message": MESSAGE, "startedAt": started}
    return ContainerState(
        name=entry["name"],
        id=entry["containerID"],
        image=entry.get("image", ""),
        image_id=entry.get("imageID", ""),
        state="exited",
        attempt=entry.get("restartCount", 0),
        started_at=_moment(ended.get("startedAt")),
        finished_at=_moment(ended.get("finishedAt")),
        exit_code=ended.get("exitCode", 0),
        reason=ended.get("reason", ""),
        message=ended.get("message", ""),
        sandbox_id=SANDBOX,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
