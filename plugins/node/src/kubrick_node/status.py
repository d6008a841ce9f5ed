"""Works out a pod's status from what the runtime reports. Pure.

Source: the kubelet's generateAPIPodStatus: phase, conditions with their reasons and messages, and the
three states (waiting, running, terminated) of each container.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kubrick_kernel import rfc3339
from kubrick_node.lost import lost
from kubrick_node.plan import init_progress, is_sidecar, restarts
from kubrick_node.resizing import IN_PROGRESS, PENDING, Resize
from kubrick_node.runtime import ContainerState, PodState

Object = dict[str, Any]

CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")

Verdict = tuple[bool, str, str]
"""Whether a condition holds, reason and message."""


def pod_status(
    pod: Object,
    state: PodState,
    *,
    now: datetime,
    host_ip: str,
    waiting: Mapping[str, tuple[str, str]],
    ready: Mapping[str, bool] | None = None,
    started: Mapping[str, bool] | None = None,
    terminating: bool = False,
    failed: tuple[str, str] | None = None,
    resize: Resize | None = None,
) -> Object:
    """The pod's whole status. `waiting` says why containers that don't run don't, `ready` and `started` what
    probes say (absent: no probe), `terminating` that nothing will be started any more, `failed` (reason and
    message) that the node gave the pod up, `resize` which resources the containers have."""
    old = pod.get("status", {})
    spec = pod["spec"]
    inits = spec.get("initContainers") or ()
    done, init_failed = init_progress(pod, state, started)
    pending = "PodInitializing" if inits and done < len(inits) else "ContainerCreating"
    actuated = resize.actuated if resize is not None else {}
    build = _ContainerStatuses(state, waiting, ready or {}, started or {}, old, pending, actuated)
    init_statuses = [build.one(c, "initContainerStatuses", init=True) for c in inits]
    statuses = [build.one(c, "containerStatuses") for c in spec["containers"]]
    ephemeral = [build.one(c, "ephemeralContainerStatuses") for c in spec.get("ephemeralContainers") or ()]
    phase = "Failed" if failed else _phase(pod, state, done, init_failed, terminating)
    status: Object = {"phase": phase}
    generation = pod["metadata"].get("generation")
    if generation:
        status["observedGeneration"] = generation
    status |= _addresses(host_ip, _ips(spec, state, old, host_ip))
    status["startTime"] = old.get("startTime") or rfc3339(now)
    if init_statuses:
        status["initContainerStatuses"] = init_statuses
    status["containerStatuses"] = statuses
    if ephemeral:
        status["ephemeralContainerStatuses"] = ephemeral
    for kept in ("qosClass", "reason", "message", "nominatedNodeName", "resize", "resourceClaimStatuses"):
        if kept in old:
            status[kept] = old[kept]
    if failed:
        status["reason"], status["message"] = failed
    status["conditions"] = _conditions(pod, state, phase, inits, init_statuses, statuses, now)
    if resize is not None:
        before = {condition["type"]: condition for condition in old.get("conditions") or ()}
        lasting = [one for one in status["conditions"] if one["type"] not in (PENDING, IN_PROGRESS)]
        status["conditions"] = [*resize.conditions(before, now), *lasting]
    return status


def _addresses(host_ip: str, ips: Sequence[str]) -> Object:
    found: Object = {"hostIP": host_ip, "hostIPs": [{"ip": host_ip}]} if host_ip else {}
    return {**found, "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]} if ips else found


def _ips(spec: Object, state: PodState, old: Object, host_ip: str) -> tuple[str, ...]:
    if spec.get("hostNetwork"):
        return (host_ip,) if host_ip and state.sandbox_id else ()
    return state.ips or tuple(entry["ip"] for entry in old.get("podIPs") or ())


class _ContainerStatuses:
    """Builds the entries of a pod's container status lists."""

    def __init__(
        self,
        state: PodState,
        waiting: Mapping[str, tuple[str, str]],
        ready: Mapping[str, bool],
        started: Mapping[str, bool],
        old: Object,
        pending: str,
        actuated: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._actuated = actuated
        self._now = {c.name: c for c in state.containers}
        self._before = {c.name: c for c in state.previous}
        self._waiting = waiting
        self._ready = ready
        self._started = started
        self._old = old
        self._pending = pending

    def one(self, container: Object, listed: str, init: bool = False) -> Object:
        name = container["name"]
        there = self._now.get(name)
        kept = next((s for s in self._old.get(listed) or () if s.get("name") == name), None)
        status: Object = {"name": name, "image": container.get("image", ""), "imageID": "", "restartCount": 0}
        status["lastState"] = {}
        if container.get("volumeMounts"):
            recursive = there.recursive if there is not None else ()
            status["volumeMounts"] = [mount_status(one, recursive) for one in container["volumeMounts"]]
        if there is None:
            status["state"] = {"waiting": self._why(name)}
            status["ready"] = status["started"] = False
            if kept is not None:
                status["restartCount"] = kept.get("restartCount", 0)
                status["lastState"] = kept.get("lastState") or {}
            return status
        status.update(image=there.image, imageID=there.image_id, containerID=there.id, restartCount=there.attempt)
        before = self._before.get(name)
        if name in self._waiting and there.state == "exited":
            status["state"] = {"waiting": self._why(name)}
            before = there
        else:
            status["state"] = _state(there)
        if before is not None:
            status["lastState"] = _state(before)
        elif kept is not None and kept.get("restartCount", 0) < there.attempt and kept.get("containerID"):
            status["lastState"] = _state(lost(kept))
        elif kept is not None and kept.get("containerID") == there.id:
            status["lastState"] = kept.get("lastState") or {}
        running = there.state == "running"
        resources = container.get("resources") or {}
        status["resources"] = self._actuated.get(name, resources) if running else resources
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
        if there.user is not None:
            status["user"] = {"linux": there.user}
        if there.stop_signal:
            status["stopSignal"] = there.stop_signal
        status["started"] = running and self._started.get(name, True)
        if init and not is_sidecar(container):
            status["ready"] = there.state == "exited" and there.exit_code == 0
        else:
            status["ready"] = status["started"] and there.ready and self._ready.get(name, True)
        return status

    def _why(self, name: str) -> Object:
        reason, message = self._waiting.get(name, (self._pending, ""))
        return {"reason": reason, "message": message} if message else {"reason": reason}


def mount_status(mount: Object, recursive: Sequence[str] = ()) -> Object:
    """What became of a volumeMounts entry; `recursive` are the paths that are read-only all the way down."""
    found = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        found["readOnly"] = True
        deep = mount.get("recursiveReadOnly") == "Enabled" or mount["mountPath"] in recursive
        found["recursiveReadOnly"] = "Enabled" if deep else "Disabled"
    return found


def _state(there: ContainerState) -> Object:
    started = rfc3339(there.started_at) if there.started_at else None
    if there.state == "running":
        return {"running": {"startedAt": started}}
    if there.state == "created":
        return {"waiting": {"reason": "ContainerCreating"}}
    terminated: Object = {"exitCode": there.exit_code}
    terminated["reason"] = there.reason or ("Completed" if there.exit_code == 0 else "Error")
    if there.message:
        terminated["message"] = there.message
    terminated["startedAt"] = started
    terminated["finishedAt"] = rfc3339(there.finished_at) if there.finished_at else None
    terminated["containerID"] = there.id
    return {"terminated": terminated}


def _phase(pod: Object, state: PodState, done: int, init_failed: bool, terminating: bool) -> str:
    """The kubelet's getPhase; a pod that is being terminated ends when everything in it has ended."""
    spec = pod["spec"]
    old: str = pod.get("status", {}).get("phase", "Pending")
    if old in ("Succeeded", "Failed"):
        return old
    policy = spec.get("restartPolicy", "Always")
    if init_failed:
        return "Failed"
    found = [state.container(c["name"]) for c in spec["containers"]]
    ended = list(zip(spec["containers"], found, strict=True))
    if done < len(spec.get("initContainers") or ()) and not any(found):
        return "Pending"
    if any(c is None or c.state == "created" for c in found):
        return "Pending" if not any(c is not None and c.state != "created" for c in found) else "Running"
    there = [c for c in found if c is not None]
    if any(c.state == "running" for c in there):
        return "Running"
    if not terminating and any(restarts(pod, spec_of, c) for spec_of, c in ended if c is not None):
        return "Running"
    if terminating and policy == "Always":
        return "Failed" if any(c.exit_code for c in there) else "Succeeded"
    return "Succeeded" if all(c.exit_code == 0 for c in there) else "Failed"


def _conditions(
    pod: Object,
    state: PodState,
    phase: str,
    inits: Sequence[Object],
    init_statuses: Sequence[Object],
    statuses: Sequence[Object],
    now: datetime,
) -> list[Object]:
    """The kubelet's five conditions, and everybody else's as they were."""
    before = {c["type"]: c for c in pod.get("status", {}).get("conditions") or ()}
    generation = pod["metadata"].get("generation")
    wanted: dict[str, Verdict] = {}
    wanted["PodReadyToStartContainers"] = (state.sandbox_ready and bool(state.sandbox_id), "", "")
    sidecars = [s for c, s in zip(inits, init_statuses, strict=True) if is_sidecar(c)]
    others = [s for c, s in zip(inits, init_statuses, strict=True) if not is_sidecar(c)]
    incomplete = {s["name"] for s in sidecars if not s["started"]} | {s["name"] for s in others if not s["ready"]}
    wanted["Initialized"] = _initialized(phase, [s["name"] for s in init_statuses if s["name"] in incomplete])
    unready = [s["name"] for s in (*statuses, *sidecars) if not s["ready"]]
    wanted["ContainersReady"] = _containers_ready(phase, unready)
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    wanted["Ready"] = _ready(wanted["ContainersReady"], gates, before)
    if "PodScheduled" not in before:
        wanted["PodScheduled"] = (True, "", "")
    ours = [_condition(name, *wanted[name], before.get(name), generation, now) for name in CONDITIONS if name in wanted]
    return ours + [c for name, c in before.items() if name not in wanted]


def _initialized(phase: str, incomplete: Sequence[str]) -> Verdict:
    if phase == "Succeeded":
        return True, "PodCompleted", ""
    if incomplete:
        text = f"containers with incomplete status: [{' '.join(incomplete)}]"
        return False, "ContainersNotInitialized", text
    return True, "", ""


def _containers_ready(phase: str, unready: Sequence[str]) -> Verdict:
    if phase == "Succeeded":
        return False, "PodCompleted", ""
    if phase == "Failed":
        return False, "PodFailed", ""
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return True, "", ""


def _ready(containers: Verdict, gates: Sequence[str], before: Mapping[str, Object]) -> Verdict:
    """The containers' verdict, and that of whoever else has a say."""
    closed = [gate for gate in gates if before.get(gate, {}).get("status") != "True"]
    if not containers[0] or not closed:
        return containers
    text = "; ".join(
        f'the status of pod readiness gate "{gate}" is not "True", but {before[gate]["status"]}'
        if gate in before
        else f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        for gate in closed
    )
    return False, "ReadinessGatesNotReady", text


def disruption(message: str, now: datetime) -> Object:
    """The condition of a pod that the node had to end."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "TerminationByKubelet",
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(now),
    }


def _condition(
    name: str, true: bool, reason: str, message: str, before: Object | None, generation: int | None, now: datetime
) -> Object:
    value = "True" if true else "False"
    condition: Object = {"type": name, "status": value}
    if generation:
        condition["observedGeneration"] = generation
    unchanged = before is not None and before["status"] == value
    condition["lastProbeTime"] = None
    condition["lastTransitionTime"] = before["lastTransitionTime"] if unchanged and before else rfc3339(now)
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition
