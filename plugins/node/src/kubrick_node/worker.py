"""One worker per pod: observes, plans, acts, reports, until the pod is gone. Thin: plan.py decides what
to do and status.py what to say."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import trio

from kubrick_kernel import Clock
from kubrick_node.plan import Backoff, Plan, RunSandbox, Situation, StartContainer, decide, stop_order
from kubrick_node.runtime import ContainerRuntime, ContainerSpec, ContainerState, PodState, RuntimeFailure
from kubrick_node.status import pod_status

Object = dict[str, Any]

RETRY_SECONDS = 1.0
"""How soon a failed step is looked at again (its own backoff decides when it is tried again)."""


class Reporter(Protocol):
    """Where a worker's findings go."""

    host_ip: str

    def status(self, worker: "PodWorker", status: Object) -> None:
        """Write the status to the API soon; a later one replaces it."""
        ...

    async def finished(self, worker: "PodWorker", status: Object) -> None:
        """Everything has stopped: write the last status, then remove the pod from the API."""
        ...

    def event(self, pod: Object, kind: str, reason: str, message: str, container: str = "") -> None:
        """An event about the pod (or about one of its containers)."""
        ...


class PodWorker:
    """Brings one pod in line. `pod` is the newest version known; it is shared and never changed."""

    def __init__(
        self, pod: Object, runtime: ContainerRuntime, reporter: Reporter, clock: Clock, ended: Callable[[str], None]
    ) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self._runtime = runtime
        self._reporter = reporter
        self._clock = clock
        self._ended_callback = ended
        self._vanished = False
        self._wake = trio.Event()
        self._scope: trio.CancelScope | None = None
        self._grace = float("inf")
        self._sandboxes = 0
        self._ended_at: dict[str, float] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._failures: dict[str, tuple[str, str]] = {}
        self._fresh: dict[str, tuple[str, str]] = {}

    def wake(self) -> None:
        """Something may have changed: look again."""
        self._wake.set()

    def update(self, pod: Object) -> None:
        """A newer version from the API."""
        before, self.pod = self.pod, pod
        if _deleted(pod):
            if not _deleted(before) or _grace(pod) < self._grace:
                self._interrupt()
        elif _matters(before, pod):
            self._wake.set()

    def vanish(self) -> None:
        """The pod left the API without waiting for us."""
        self._vanished = True
        self._interrupt()

    def _interrupt(self) -> None:
        self._wake.set()
        if self._scope is not None:
            self._scope.cancel()

    async def run(self) -> None:
        """Work until the pod is gone from the node."""
        try:
            while not (self._vanished or _deleted(self.pod)):
                self._wake = trio.Event()
                again_at = float("inf")
                with trio.CancelScope() as self._scope:
                    again_at = await self._sync()
                self._scope = None
                if not (self._vanished or _deleted(self.pod)):
                    with trio.move_on_at(again_at):
                        await self._wake.wait()
            await self._terminate()
        finally:
            self._ended_callback(self.uid)

    async def _sync(self) -> float:
        """One round; returns when (trio time) to look again unless woken."""
        self._fresh.clear()
        while True:
            state = await self._observe()
            plan = decide(
                Situation(self.pod, state, trio.current_time(), self._ended_at, self._backoffs, self._failures)
            )
            if not plan.actions:
                break
            if not await self._perform(plan, state):
                state = await self._observe()
                plan.look_again(trio.current_time() + RETRY_SECONDS)
                break
        self._report(state, {**plan.waiting, **self._fresh})
        times = [at for at in (plan.again_at, state.changes_at) if at is not None]
        return min(times, default=float("inf"))

    async def _observe(self) -> PodState:
        state = await self._runtime.observe(self.pod)
        for container in state.containers:
            if container.state == "exited":
                self._ended_at.setdefault(container.name, self._trio_time(container.finished_at))
            else:
                self._ended_at.pop(container.name, None)
        return state

    def _trio_time(self, moment: datetime | None) -> float:
        now = trio.current_time()
        return now if moment is None else now - max(0.0, self._clock.timestamp() - moment.timestamp())

    async def _perform(self, plan: Plan, state: PodState) -> bool:
        """Do what was planned; False when something failed and has to wait."""
        fine = True
        for action in plan.actions:
            if isinstance(action, RunSandbox):
                try:
                    await self._runtime.run_sandbox(self.pod, self._sandboxes)
                except RuntimeFailure as failure:
                    self._reporter.event(self.pod, "Warning", failure.reason, failure.message)
                    return False
                self._sandboxes += 1
            else:
                fine = await self._start(action, state) and fine
        return fine

    async def _start(self, action: StartContainer, state: PodState) -> bool:
        name, image = action.container["name"], action.container.get("image", "")
        event = self._reporter.event
        backoff = self._backoffs.setdefault(name, Backoff())
        try:
            pulled = await self._runtime.ensure_image(self.pod, action.container)
            text = (
                f'Successfully pulled image "{image}"'
                if pulled
                else f'Container image "{image}" already present on machine'
            )
            event(self.pod, "Normal", "Pulled", text, name)
            await self._runtime.start_container(
                ContainerSpec(self.pod, action.container, state.sandbox_id, action.role, action.attempt)
            )
        except RuntimeFailure as failure:
            self._failures[name] = self._fresh[name] = (failure.reason, failure.message)
            backoff.raise_(trio.current_time())
            pulling = "Pull" in failure.reason
            text = f'Failed to pull image "{image}": {failure.message}' if pulling else f"Error: {failure.message}"
            event(self.pod, "Warning", "Failed", text, name)
            return False
        self._failures.pop(name, None)
        if action.attempt:
            backoff.raise_(trio.current_time())
        event(self.pod, "Normal", "Created", f"Container created: {name}", name)
        event(self.pod, "Normal", "Started", f"Container started: {name}", name)
        return True

    def _report(self, state: PodState, waiting: dict[str, tuple[str, str]]) -> None:
        for name, (reason, message) in waiting.items():
            if reason == "CrashLoopBackOff":
                metadata = self.pod["metadata"]
                where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
                text = f"Back-off restarting failed container {name} in pod {where}"
                self._reporter.event(self.pod, "Warning", "BackOff", text, name)
            elif reason == "ImagePullBackOff":
                self._reporter.event(self.pod, "Normal", "BackOff", message.partition(": ")[0], name)
        status = self._status(state, waiting)
        if status != self.pod.get("status"):
            self._reporter.status(self, status)

    def _status(self, state: PodState, waiting: dict[str, tuple[str, str]], terminating: bool = False) -> Object:
        return pod_status(
            self.pod,
            state,
            now=self._clock.now(),
            host_ip=self._reporter.host_ip,
            waiting=waiting,
            terminating=terminating,
        )

    async def _terminate(self) -> None:
        state = await self._observe()
        for container in state.containers:
            if container.state == "running":
                text = f"Stopping container {container.name}"
                self._reporter.event(self.pod, "Normal", "Killing", text, container.name)
        stopped = False
        while not stopped:
            self._grace = _grace(self.pod)
            with trio.CancelScope() as self._scope:
                for batch in stop_order(self.pod, state):
                    await self._stop(batch)
                if state.sandbox_id:
                    await self._runtime.stop_sandbox(self.pod, state.sandbox_id)
                stopped = True
            self._scope = None
            state = await self._observe()
        if not self._vanished:
            await self._reporter.finished(self, self._status(state, {}, terminating=True))
        await self._runtime.remove(self.pod)

    async def _stop(self, batch: list[ContainerState]) -> None:
        if len(batch) == 1:
            await self._runtime.stop_container(self.pod, batch[0].id, self._grace)
            return
        async with trio.open_nursery() as nursery:
            for container in batch:
                nursery.start_soon(self._runtime.stop_container, self.pod, container.id, self._grace)


def _deleted(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _grace(pod: Object) -> float:
    """Seconds the pod's containers have to end."""
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    if grace is None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    return float(grace)


def _matters(before: Object, after: Object) -> bool:
    """Whether a change is more than the echo of our own status."""
    if before["spec"].get("readinessGates"):
        return True
    old, new = before["metadata"], after["metadata"]
    return bool(before["spec"] != after["spec"] or old.get("annotations") != new.get("annotations"))
