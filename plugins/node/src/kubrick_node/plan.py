"""Decides what one pod needs next: pod and actual state in, actions out. Pure.

Source: the kubelet's computePodActions (sandbox, then init containers in order with sidecars kept
running, then app containers), its restart policies and its crash-loop backoff.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from kubrick_node.runtime import ContainerState, PodState

Object = dict[str, Any]

BACKOFF_FIRST = 10.0
BACKOFF_LIMIT = 300.0
BACKOFF_RESET = 600.0


@frozen
class RunSandbox:
    """Create the sandbox; nothing else can start before."""


@frozen
class StartContainer:
    """Start a container; `attempt` is its restart count."""

    container: Object
    role: str
    attempt: int


Action = RunSandbox | StartContainer


@define
class Backoff:
    """How long one container (or image) has to wait after its next failure, in seconds. `since` is when
    it was last raised (trio time)."""

    seconds: float = 0.0
    since: float = 0.0

    def raise_(self, now: float) -> None:
        """One more failure: 10 s, doubling to 300 s; starts over after 600 s without one."""
        if self.seconds and now - self.since > BACKOFF_RESET:
            self.seconds = 0.0
        self.seconds = min(self.seconds * 2, BACKOFF_LIMIT) if self.seconds else BACKOFF_FIRST
        self.since = now


@define
class Plan:
    """What to do now, which containers wait and why, and when to look again (trio time)."""

    actions: list[Action] = field(factory=list)
    waiting: dict[str, tuple[str, str]] = field(factory=dict)
    again_at: float | None = None

    def look_again(self, at: float) -> None:
        self.again_at = at if self.again_at is None else min(self.again_at, at)


@frozen
class Situation:
    """All that a decision depends on. `ended` says when each exited container ended (trio time);
    `backoffs` are by container name; `failures` are starts that failed: name → (reason, message)."""

    pod: Object
    state: PodState
    now: float
    ended: Mapping[str, float]
    backoffs: Mapping[str, Backoff]
    failures: Mapping[str, tuple[str, str]]


def is_sidecar(container: Object) -> bool:
    """A restartable init container (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def should_restart(policy: str, exited: ContainerState) -> bool:
    """Whether a container that ended is started again under the pod's restart policy."""
    return policy == "Always" or (policy == "OnFailure" and exited.exit_code != 0)


def is_terminal(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def init_progress(pod: Object, state: PodState) -> tuple[int, bool]:
    """How many init containers are done (sidecars: started), and whether one failed for good."""
    policy = pod["spec"].get("restartPolicy", "Always")
    done = 0
    for container in pod["spec"].get("initContainers") or ():
        there = state.container(container["name"])
        if there is None:
            break
        if is_sidecar(container):
            if there.state != "running" and not _anything_after(pod, state, done):
                break
        elif there.state != "exited":
            break
        elif there.exit_code != 0:
            return done, policy == "Never"
        done += 1
    return done, False


def _anything_after(pod: Object, state: PodState, index: int) -> bool:
    """Whether a later container has been started: then a sidecar that is down does not hold others."""
    spec = pod["spec"]
    later = [*(spec.get("initContainers") or ())[index + 1 :], *spec["containers"]]
    return any(state.container(container["name"]) for container in later)


def decide(situation: Situation) -> Plan:
    """What a pod that is meant to run needs next."""
    plan = Plan()
    pod, state = situation.pod, situation.state
    if is_terminal(pod):
        return plan
    spec = pod["spec"]
    inits = spec.get("initContainers") or ()
    if not state.sandbox_ready:
        if _something_to_run(pod, state):
            plan.actions.append(RunSandbox())
        return plan
    done, failed = init_progress(pod, state)
    if failed:
        return plan
    for container in inits[:done]:
        if is_sidecar(container):
            _consider(plan, situation, container, "sidecar")
    if done < len(inits):
        container = inits[done]
        _consider(plan, situation, container, "sidecar" if is_sidecar(container) else "init")
        return plan
    for container in spec["containers"]:
        _consider(plan, situation, container, "app")
    for container in spec.get("ephemeralContainers") or ():
        if state.container(container["name"]) is None:
            _consider(plan, situation, container, "ephemeral")
    return plan


def _something_to_run(pod: Object, state: PodState) -> bool:
    """A pod whose containers all ended for good needs no new sandbox."""
    policy = pod["spec"].get("restartPolicy", "Always")
    for container in pod["spec"]["containers"]:
        there = state.container(container["name"])
        if there is None or there.state != "exited" or should_restart(policy, there):
            return not init_progress(pod, state)[1]
    return False


def _consider(plan: Plan, situation: Situation, container: Object, role: str) -> None:
    """Start `container` now, later, or not at all."""
    name = container["name"]
    there = situation.state.container(name)
    attempt = 0
    backoff = situation.backoffs.get(name)
    failure = situation.failures.get(name)
    if there is not None:
        if there.state != "exited":
            return
        policy = "Always" if role == "sidecar" else situation.pod["spec"].get("restartPolicy", "Always")
        if role == "init" and policy == "Always":
            policy = "OnFailure"
        if not should_restart(policy, there):
            return
        attempt = there.attempt + 1
        ended = situation.ended.get(name, situation.now)
    elif failure is not None and backoff is not None:
        ended = backoff.since
    else:
        plan.actions.append(StartContainer(container, role, attempt))
        return
    if backoff is not None and backoff.seconds and situation.now < ended + backoff.seconds:
        plan.waiting[name] = _backing_off(situation.pod, container, backoff, failure)
        plan.look_again(ended + backoff.seconds)
        return
    plan.actions.append(StartContainer(container, role, attempt))


def _backing_off(pod: Object, container: Object, backoff: Backoff, failure: tuple[str, str] | None) -> tuple[str, str]:
    """Why a container waits, in the kubelet's words."""
    if failure is not None and failure[0] in ("ErrImagePull", "ImagePullBackOff"):
        return "ImagePullBackOff", f'Back-off pulling image "{container.get("image", "")}": {failure[0]}: {failure[1]}'
    if failure is not None:
        return failure
    metadata = pod["metadata"]
    where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
    seconds = int(backoff.seconds)
    length = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
    return "CrashLoopBackOff", f"back-off {length} restarting failed container={container['name']} pod={where}"


def stop_order(pod: Object, state: PodState) -> Iterator[list[ContainerState]]:
    """Running containers in the order to stop them: apps (with plain init and ephemeral ones) together,
    then sidecars one by one, the last started first."""
    sidecars = [c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)]
    running = [c for c in state.containers if c.state != "exited"]
    first = [c for c in running if c.name not in sidecars]
    if first:
        yield first
    for name in reversed(sidecars):
        last = [c for c in running if c.name == name]
        if last:
            yield last
