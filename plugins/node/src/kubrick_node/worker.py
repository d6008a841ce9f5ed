"""One worker per pod: observes, plans, acts, reports, until the pod is gone. Thin: plan.py decides what
to do and status.py what to say.

On a real machine a pod also has surroundings (volumes, probes, hooks); without them the worker has no task but
its own, and a pod costs next to nothing."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import trio

from kubrick_kernel import Clock, get_logger
from kubrick_node.actuating import Actuating
from kubrick_node.changes import is_leaving, matters
from kubrick_node.checking import Checks
from kubrick_node.lost import with_lost
from kubrick_node.plan import (
    Plan,
    RunSandbox,
    Situation,
    StopContainer,
    decide,
)
from kubrick_node.reporter import Reporter
from kubrick_node.resizing import ERROR, Resize, adopted
from kubrick_node.runtime import ContainerRuntime, PodState, RuntimeFailure
from kubrick_node.starting import Starting
from kubrick_node.status import disruption, pod_status
from kubrick_node.stopping import Stopping, grace_of
from kubrick_node.surroundings import Surroundings
from kubrick_node.telling import Telling
from kubrick_node.volumes import VolumeFailure

Object = dict[str, Any]
T = TypeVar("T")

log = get_logger("node")

RETRY_SECONDS = 1.0
"""How soon a failed step is looked at again (its own backoff decides when it is tried again)."""
RESIZE_SECONDS = 10.0
"""How soon a resize that failed is tried again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Between tries while the runtime doesn't answer."""
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodWorker:
    """Brings one pod in line. `pod` is the newest version known; it is shared and never changed."""

    def __init__(
        self,
        pod: Object,
        runtime: ContainerRuntime,
        reporter: Reporter,
        clock: Clock,
        ended: Callable[[str], None],
        around: Surroundings | None = None,
        resize: Resize | None = None,
    ) -> None:
        self.pod = pod
        self.resize = resize or adopted(pod)
        self.uid: str = pod["metadata"]["uid"]
        self.failed: tuple[str, str] | None = None
        self.over = trio.Event()
        """All that the pod had on the node has been given back."""
        self._runtime = runtime
        self._reporter = reporter
        self._telling = Telling(reporter.event)
        self._clock = clock
        self._ended_callback = ended
        self._around = around
        self._checks: Checks | None = None
        self._vanished = False
        self._wake = trio.Event()
        self._scope: trio.CancelScope | None = None
        self._grace = float("inf")
        self._wound_up = False
        self._reclaimed = False
        self._fail_grace: float | None = None
        self._disrupted: Object | None = None
        self._active_since: float | None = None
        self._stopping = Stopping(runtime, around, self._say)
        self._starting = Starting(runtime, around, reporter.event, self._stopping)
        self._actuating = Actuating(self.resize, runtime, around, reporter.event, self._stopping)
        self._unreported = False
        self._ended_at: dict[str, float] = {}

    def wake(self) -> None:
        """Something may have changed: look again."""
        self._wake.set()

    def report_again(self) -> None:
        """Write the status though it has not changed."""
        self._unreported = True
        self._wake.set()

    def stir(self) -> None:
        """Something that the pod refers to has changed: what failed for want of it is tried again at once."""
        if self._around is not None:
            self._around.stir(self.uid)
        self._starting.try_again()
        self._wake.set()

    def update(self, pod: Object) -> None:
        """A newer version from the API."""
        before, self.pod = self.pod, pod
        if is_leaving(pod):
            if not is_leaving(before) or grace_of(pod) < self._grace:
                self._interrupt()
        elif matters(before, pod):
            if self._around is not None:
                self._around.pod_changed(pod)
            self._wake.set()

    def give_up(self, reason: str, message: str, grace: float | None = None, disrupted: bool = False) -> None:
        """End the pod's containers within `grace` seconds (None: the pod's own); it fails, and stays in the API.
        `disrupted`: not for anything of its own doing, and its conditions say so."""
        if self.failed is None:
            self.failed = (reason, message)
            self._fail_grace = grace
            if disrupted:
                self._disrupted = disruption(message, self._clock.now())
            self._interrupt()

    async def reclaim(self) -> None:
        """Give back also what is kept of a pod that has ended, for people to look at. Raises RuntimeFailure."""
        if self._wound_up and not self._reclaimed:
            self._reclaimed = True  # its status stays what it was
            await self._runtime.remove(self.pod)

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
            if self._around is None:
                await self._run()
                return
            async with trio.open_nursery() as nursery:
                self._checks = Checks(self._around.actions, self._clock, nursery, self.wake, self._say)
                await self._run()
                self._checks.stop()
        finally:
            self.over.set()
            self._ended_callback(self.uid)

    def _say(self, container: str, kind: str, reason: str, message: str) -> None:
        self._reporter.event(self.pod, kind, reason, message, container)

    @property
    def _leaving(self) -> bool:
        return self._vanished or is_leaving(self.pod)

    async def _run(self) -> None:
        pause = 0.0
        while not self._leaving:
            self._wake = trio.Event()
            again_at = float("inf")
            with trio.CancelScope() as self._scope:
                try:
                    again_at = await self._sync() if self.failed is None else await self._fail()
                    pause = 0.0
                except (RuntimeFailure, VolumeFailure, OSError) as failure:
                    pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
                    again_at = trio.current_time() + pause
                    log.warning("pod not synced", pod=self.pod["metadata"]["name"], error=str(failure))
            self._scope = None
            if not self._leaving and (self.failed is None or self._wound_up or pause):
                with trio.move_on_at(again_at):
                    await self._wake.wait()
        await self._terminate()

    async def _sync(self) -> float:
        """One round; returns when (trio time) to look again unless woken."""
        if self._reclaimed:
            return float("inf")
        self._starting.fresh.clear()
        deadline = self._deadline()
        if trio.current_time() >= deadline:
            self.give_up(*DEADLINE)
            self._reporter.event(self.pod, "Normal", *DEADLINE)
            return 0.0
        state = await self._observe()
        await self._starting.look_for_images(self.pod)
        refresh_at, housed = await self._house(state)
        while True:
            self._follow(state)
            plan = decide(self._situation(state))
            if not plan.actions or not housed:
                if await self._actuating.settle(self.pod, state):
                    break
                state = await self._observe()
                continue
            if not await self._perform(plan, state):
                state = await self._observe()
                plan.look_again(trio.current_time() + RETRY_SECONDS)
                break
            state = await self._observe()
        waiting = {**plan.waiting, **self._starting.fresh}
        status = self._report(state, waiting)
        if status["phase"] in ("Succeeded", "Failed"):
            await self._wind_up(state)
            return float("inf")
        times = [at for at in (plan.again_at, state.changes_at) if at is not None]
        if self.resize.in_progress is not None and self.resize.in_progress[0] == ERROR:
            times.append(trio.current_time() + RESIZE_SECONDS)
        return min([refresh_at, deadline, *times])

    def _deadline(self) -> float:
        """When (trio time) the pod has been active for too long."""
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        status = self.pod.get("status", {})
        if seconds is None or status.get("phase") in ("Succeeded", "Failed"):
            return float("inf")
        if self._active_since is None:
            started = status.get("startTime")
            self._active_since = self._trio_time(datetime.fromisoformat(started) if started else None)
        return self._active_since + float(seconds)

    def _situation(self, state: PodState) -> Situation:
        now, starting = trio.current_time(), self._starting
        if self._checks is None:
            return Situation(self.pod, state, now, self._ended_at, starting.backoffs, starting.failures)
        started, unhealthy = self._checks.started, self._checks.unhealthy
        return Situation(self.pod, state, now, self._ended_at, starting.backoffs, starting.failures, started, unhealthy)

    def _follow(self, state: PodState) -> None:
        if self._checks is not None:
            self._checks.follow(self.pod, state)

    async def _observe(self) -> PodState:
        state = with_lost(self.pod, await self._runtime.observe(self.pod))
        for container in state.containers:
            if container.state == "exited":
                self._ended_at.setdefault(container.name, self._trio_time(container.finished_at))
            else:
                self._ended_at.pop(container.name, None)
        return state

    def _trio_time(self, moment: datetime | None) -> float:
        now = trio.current_time()
        return now if moment is None else now - max(0.0, self._clock.timestamp() - moment.timestamp())

    async def _house(self, state: PodState) -> tuple[float, bool]:
        """Have the pod's volumes: when to look after them again, and whether containers can be started."""
        if self._around is None or self._wound_up:
            return float("inf"), True
        try:
            refresh_at = await self._around.keep_up(self.pod)
        except VolumeFailure:
            failed, pause = self._around.failures(self.uid)
            self._telling.unmounted(self.pod, failed)
            return trio.current_time() + pause, False
        self._telling.mounted()
        return refresh_at, True

    async def _perform(self, plan: Plan, state: PodState) -> bool:
        """Do what was planned; False when something failed and has to wait."""
        fine = True
        for action in plan.actions:
            if isinstance(action, RunSandbox):
                if not await self._starting.sandbox(self.pod, state):
                    return False
            elif isinstance(action, StopContainer):
                await self._stop_unhealthy(action)
            else:
                started = await self._starting.container(self.pod, action, state)
                if started:
                    self._actuating.started(action)
                fine = started and fine
        return fine

    async def _stop_unhealthy(self, action: StopContainer) -> None:
        name = action.container["name"]
        self._reporter.event(self.pod, "Normal", "Killing", action.message, name)
        grace = action.grace if action.grace is not None else grace_of(self.pod)
        await self._stopping.one(self.pod, action.container, action.id, grace)

    # Status

    def _report(self, state: PodState, waiting: Mapping[str, tuple[str, str]]) -> Object:
        self._telling.waiting(self.pod, waiting)
        status = self._status(state, waiting)
        if status != self.pod.get("status") or self._unreported:
            self._unreported = False
            self._reporter.status(self, status)
        return status

    def _status(self, state: PodState, waiting: Mapping[str, tuple[str, str]], terminating: bool = False) -> Object:
        status = pod_status(
            self.pod,
            state,
            now=self._clock.now(),
            host_ip=self._reporter.host_ip,
            waiting=waiting,
            ready=self._checks.ready if self._checks is not None else None,
            started=self._checks.started if self._checks is not None else None,
            terminating=terminating,
            failed=self.failed,
            resize=self.resize,
        )
        if self._disrupted is not None:
            others = (one for one in status["conditions"] if one["type"] != self._disrupted["type"])
            status["conditions"] = [*others, self._disrupted]
        return status

    # The end

    async def _wind_up(self, state: PodState) -> None:
        """Everything in the pod has ended for good: give back what it took, keep what can be looked at."""
        if self._wound_up:
            return
        if self._checks is not None:
            self._checks.stop()
        if state.sandbox_id:
            await self._runtime.stop_sandbox(self.pod, state.sandbox_id)
        if self._around is not None:
            await self._around.release(self.pod)
        self._wound_up = True

    async def _fail(self) -> float:
        """The node gave the pod up."""
        if not self._wound_up:
            state = await self._observe()
            self._telling.stopping(self.pod, state)
            grace = grace_of(self.pod) if self._fail_grace is None else self._fail_grace
            await self._stopping.all(self.pod, state, grace)
            state = await self._observe()
            self._reporter.status(self, self._status(state, {}, terminating=True))
            await self._wind_up(state)
            if self.failed is not None and self.failed[0] == "Evicted":
                # It went for the room it takes: its containers' files and logs go too.
                await self.reclaim()
            self.over.set()
        return float("inf")

    async def _terminate(self) -> None:
        if self._checks is not None:
            self._checks.stop()
        state = await self._persist(self._observe)
        self._telling.stopping(self.pod, state)
        stopped = False
        while not stopped:
            self._grace = grace_of(self.pod)
            with trio.CancelScope() as self._scope:
                await self._stopping.all(self.pod, state, self._grace)
                if state.sandbox_id:
                    await self._persist(partial(self._runtime.stop_sandbox, self.pod, state.sandbox_id))
                stopped = True
            self._scope = None
            state = await self._persist(self._observe)
        around = self._around
        if around is not None:
            await self._persist(lambda: around.release(self.pod))
        if not self._vanished:
            await self._reporter.finished(self, self._status(state, {}, terminating=True))
        await self._persist(lambda: self._runtime.remove(self.pod))
        if around is not None:
            await self._persist(lambda: around.forget(self.pod))

    async def _persist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do what has to be done before the pod can go, however often that takes."""
        while True:
            try:
                return await act()
            except VolumeFailure as failure:
                text = f"UnmountVolume.TearDown failed for volumes of the pod : {failure}"
                self._reporter.event(self.pod, "Warning", "FailedUnMount", text)
            except (RuntimeFailure, OSError) as failure:
                self._reporter.event(self.pod, "Warning", "FailedKillPod", f"error killing pod: {failure}")
            await trio.sleep(RETRY_SECONDS)
