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
IMAGE_LOOK_SECONDS = 2.0
"""How soon a container that waits for its image is looked after: somebody may have loaded it."""
IMAGE_ABSENT = ("ErrImagePull", "ErrImageNeverPull", "RegistryUnavailable", "SignatureValidationFailed")
KILLED = 137
"""The exit code of a process that was killed."""


@frozen
class RunSandbox:
    """Create the sandbox; nothing else can start before."""


@frozen
class StartContainer:
    """Start a container; `attempt` is its restart count."""

    container: Object
    role: str
    attempt: int


@frozen
class StopContainer:
    """Stop a running container; `message` says why, `grace` (seconds) how long it may take (None: the pod's)."""

    container: Object
    id: str
    message: str
    grace: float | None = None


Action = RunSandbox | StartContainer | StopContainer


@frozen
class Unhealthy:
    """A container that a probe gave up: which attempt (by id), which probe, and the grace the probe wants."""

    id: str
    probe: str
    grace: float | None = None


@define
class Backoff:
    """How long one container (or image) has to wait after its next failure, in seconds. `since` is when
    it was last raised (trio time)."""

    seconds: float = 0.0
    since: float = 0.0

    def raise_(self, now: float, limit: float = BACKOFF_LIMIT) -> None:
        """One more failure: 10 s, doubling to `limit`; starts over after 600 s without one."""
        if self.seconds and now - self.since > BACKOFF_RESET:
            self.seconds = 0.0
        self.seconds = min(self.seconds * 2 if self.seconds else BACKOFF_FIRST, limit)
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
    `backoffs` are by container name; `failures` are starts that failed: name → (reason, message). `started` is
    what startup probes say (absent: no such probe), `unhealthy` whom liveness and startup probes gave up."""

    pod: Object
    state: PodState
    now: float
    ended: Mapping[str, float]
    backoffs: Mapping[str, Backoff]
    failures: Mapping[str, tuple[str, str]]
    started: Mapping[str, bool] = field(factory=dict)
    unhealthy: Mapping[str, Unhealthy] = field(factory=dict)


def is_sidecar(container: Object) -> bool:
    """A restartable init container (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def should_restart(policy: str, exited: ContainerState) -> bool:
    """Whether a container that ended is started again under a restart policy."""
    return policy == "Always" or (policy == "OnFailure" and exited.exit_code != 0)


def restarts(pod: Object, container: Object, exited: ContainerState, init: bool = False) -> bool:
    """Whether this container, having ended so, is started again: by its own rules (KEP-5307), its own policy, or
    its pod's."""
    for rule in container.get("restartPolicyRules") or ():
        if rule.get("action") == "Restart" and _covers(rule.get("exitCodes") or {}, exited.exit_code):
            return True
    if init and is_sidecar(container):
        return True
    policy = container.get("restartPolicy") or pod["spec"].get("restartPolicy", "Always")
    if init and policy == "Always":
        policy = "OnFailure"
    return should_restart(policy, exited)


def _covers(codes: Object, code: int) -> bool:
    listed = code in (codes.get("values") or ())
    return listed if codes.get("operator") == "In" else not listed


def is_terminal(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def init_progress(pod: Object, state: PodState, started: Mapping[str, bool] | None = None) -> tuple[int, bool]:
    """How many init containers are done (sidecars: started), and whether one failed for good. Those of an earlier
    sandbox have to run again."""
    done = 0
    for container in pod["spec"].get("initContainers") or ():
        there = state.container(container["name"])
        if there is None or _is_of_earlier_sandbox(there, state):
            break
        if is_sidecar(container):
            up = there.state == "running" and (started or {}).get(container["name"], True)
            if not up and not _anything_after(pod, state, done):
                break
        elif there.state != "exited":
            break
        elif there.exit_code != 0:
            return done, not restarts(pod, container, there, init=True)
        done += 1
    return done, False


def _anything_after(pod: Object, state: PodState, index: int) -> bool:
    """Whether a later container has been started: then a sidecar that is down does not hold others."""
    spec = pod["spec"]
    later = [*(spec.get("initContainers") or ())[index + 1 :], *spec["containers"]]
    found = (state.container(container["name"]) for container in later)
    return any(there is not None and not _is_of_earlier_sandbox(there, state) for there in found)


def _is_of_earlier_sandbox(there: ContainerState, state: PodState) -> bool:
    return bool(there.sandbox_id) and there.sandbox_id != state.sandbox_id


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
    plan.actions += _given_up(situation)
    done, failed = init_progress(pod, state, situation.started)
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


def _given_up(situation: Situation) -> Iterator[StopContainer]:
    """Running containers that a probe gave up."""
    pod = situation.pod
    for role, listed in (("init", "initContainers"), ("app", "containers")):
        for container in pod["spec"].get(listed) or ():
            bad = situation.unhealthy.get(container["name"])
            there = situation.state.container(container["name"])
            if bad is None or there is None or there.id != bad.id or there.state != "running":
                continue
            killed = ContainerState(there.name, there.id, there.image, there.image_id, "exited", exit_code=KILLED)
            again = ", will be restarted" if restarts(pod, container, killed, role == "init") else ""
            message = f"Container {container['name']} failed {bad.probe} probe{again}"
            yield StopContainer(container, there.id, message, bad.grace)


def _something_to_run(pod: Object, state: PodState) -> bool:
    """A pod whose containers all ended for good needs no new sandbox."""
    for container in pod["spec"]["containers"]:
        there = state.container(container["name"])
        if there is None or there.state != "exited" or restarts(pod, container, there):
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
        stale = _is_of_earlier_sandbox(there, situation.state)
        if there.state != "exited" and not stale:
            return
        again = restarts(situation.pod, container, there, role in ("init", "sidecar"))
        if not again and not (stale and role == "init"):
            return
        attempt = there.attempt + 1
        if stale and failure is None:
            plan.actions.append(StartContainer(container, role, attempt))
            return
        ended = situation.ended.get(name, situation.now)
        if failure is not None and backoff is not None:
            ended = max(ended, backoff.since)
    elif failure is not None and backoff is not None:
        ended = backoff.since
    else:
        plan.actions.append(StartContainer(container, role, attempt))
        return
    if backoff is not None and backoff.seconds and situation.now < ended + backoff.seconds:
        plan.waiting[name] = _backing_off(situation.pod, container, backoff, failure)
        plan.look_again(ended + backoff.seconds)
        if failure is not None and failure[0] in IMAGE_ABSENT:
            plan.look_again(situation.now + IMAGE_LOOK_SECONDS)
        return
    plan.actions.append(StartContainer(container, role, attempt))


def _backing_off(pod: Object, container: Object, backoff: Backoff, failure: tuple[str, str] | None) -> tuple[str, str]:
    """Why a container waits, in the kubelet's words."""
    if failure is not None and failure[0] in IMAGE_ABSENT and failure[0] != "ErrImageNeverPull":
        return "ImagePullBackOff", f'Back-off pulling image "{container.get("image", "")}": {failure[0]}: {failure[1]}'
    if failure is not None and failure[0] != "RunContainerError":
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
