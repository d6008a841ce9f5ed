"""A pod's table row, as `kubectl get pods` prints it.

The Status cell is a story, not a field: the pod's phase, overridden by what its init containers are
at, by why containers wait or ended, by a vanished node and by deletion. From printPod in
pkg/printers/internalversion.
"""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age, or_none, parse_time, since
from kubrick_api.resource import Object


def pod_row(pod: Object, now: datetime) -> list[Any]:
    """Name, Ready, Status, Restarts, Age, IP, Node, Nominated Node, Readiness Gates."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    ready, total, reason, restarts = _summary(pod, spec, status, now)
    ips = status.get("podIPs") or ()
    return [
        pod["metadata"]["name"],
        f"{ready}/{total}",
        reason,
        restarts,
        age(pod, now),
        or_none(ips[0].get("ip") if ips else status.get("podIP")),
        or_none(spec.get("nodeName")),
        or_none(status.get("nominatedNodeName")),
        _readiness_gates(spec, status),
    ]


def _summary(pod: Object, spec: Object, status: Object, now: datetime) -> tuple[int, int, str, str]:
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    reason = status.get("reason") or status.get("phase") or ""
    conditions = {c.get("type"): c for c in status.get("conditions") or ()}
    if (conditions.get("PodScheduled") or {}).get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    tally = Restarts()
    ready, initializing, init_reason = _init_state(spec, status, sidecars, tally)
    if init_reason:
        reason = init_reason
    initialized = (conditions.get("Initialized") or {}).get("status") == "True"
    if not initializing or initialized:
        tally = Restarts()
        running, has_running, container_reason = _container_state(status, tally, sidecars)
        ready += running
        reason = container_reason or reason
        if reason == "Completed" and has_running:
            is_ready = (conditions.get("Ready") or {}).get("status") == "True"
            reason = "Running" if is_ready else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Failed", "Succeeded"):
            reason = "Terminating"
    return ready, total, reason, tally.text(now)


class Restarts:
    """How often containers were restarted, and when last."""

    def __init__(self) -> None:
        self.count = 0
        self.last: str | None = None

    def add(self, container: Object) -> None:
        self.count += container.get("restartCount") or 0
        finished = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        if finished and (self.last is None or parse_time(finished) > parse_time(self.last)):
            self.last = finished

    def text(self, now: datetime) -> str:
        if self.count and self.last:
            return f"{self.count} ({since(self.last, now)} ago)"
        return str(self.count)


def _init_state(spec: Object, status: Object, sidecars: set[Any], tally: Restarts) -> tuple[int, bool, str]:
    """(ready sidecars, still initializing, what the Status cell says of it)."""
    ready = 0
    containers = spec.get("initContainers") or ()
    for i, container in enumerate(status.get("initContainerStatuses") or ()):
        tally.add(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        sidecar = container.get("name") in sidecars
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            return ready, True, _ended(terminated, "Init:")
        if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            return ready, True, f"Init:{waiting['reason']}"
        return ready, True, f"Init:{i}/{len(containers)}"
    return ready, False, ""


def _ended(terminated: Object, prefix: str = "") -> str:
    if terminated.get("reason"):
        return f"{prefix}{terminated['reason']}"
    if terminated.get("signal"):
        return f"{prefix}Signal:{terminated['signal']}"
    return f"{prefix}ExitCode:{terminated.get('exitCode', 0)}"


def _container_state(status: Object, tally: Restarts, sidecars: set[Any]) -> tuple[int, bool, str]:
    """(ready containers, whether one runs, what the Status cell says). Restarts of ordinary init
    containers no longer count once the pod runs; sidecars' do."""
    for container in status.get("initContainerStatuses") or ():
        if container.get("name") in sidecars:
            tally.add(container)
    ready, has_running, reason = 0, False, ""
    for container in reversed(status.get("containerStatuses") or ()):
        tally.add(container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting is not None and waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _ended(terminated)
        elif container.get("ready") and state.get("running") is not None:
            has_running = True
            ready += 1
    return ready, has_running, reason


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    true = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    return f"{sum(gate.get('conditionType') in true for gate in gates)}/{len(gates)}"
