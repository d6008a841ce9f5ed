"""A container runtime that does what a test tells it to, and the check that every runtime has to pass.

`ScriptedRuntime` keeps pods in memory, in virtual time: containers run until the test ends them (`end`) or somebody
stops them, commands answer what `commands` says, calls can be made to fail (`fail`), and all that was asked stands
in `asked`. `CHECKS` is the conformance suite: run each of them on a `Subject` made for your runtime::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_it_is_a_container_runtime(check, autojump_clock):
        await check(Subject(ScriptedRuntime(TrioClock()), living_pod, ending_pod))
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import trio
from attrs import define, evolve, field, frozen

from kubrick_kernel import Clock
from kubrick_node.runtime import (
    ContainerRuntime,
    ContainerSpec,
    ContainerState,
    Image,
    LogOptions,
    PodState,
    PodStats,
    RuntimeFailure,
    RuntimeHealth,
    RuntimeInfo,
    SandboxSpec,
)

Object = dict[str, Any]
Answer = tuple[int, bytes, bytes]
Command = Callable[[Sequence[str]], Answer]

KILLED, TERMINATED = 137, 143


@define(eq=False)
class _Pod:
    pod: Object
    sandbox_id: str = ""
    ready: bool = False
    ip: str = ""
    containers: dict[str, list[ContainerState]] = field(factory=dict)


class ScriptedRuntime(ContainerRuntime):
    """See the module. `stop_seconds` is how long containers take to end when asked to, by name (default 0); one that
    takes longer than its grace is killed. `specs` are the ContainerSpecs of all starts, in order; `updates` the names
    and new resources of containers that were resized."""

    def __init__(self, clock: Clock, image: Image | None = None) -> None:
        self.info = RuntimeInfo("scripted", "1.0")
        self.asked: list[tuple[str, str]] = []
        self.specs: list[ContainerSpec] = []
        self.sandboxes: list[SandboxSpec | None] = []
        self.updates: list[tuple[str, Object]] = []
        self.stop_seconds: dict[str, float] = {}
        self.commands: dict[str, Command] = {}
        self.command_seconds = 0.0
        self.logs: dict[str, bytes] = {}
        self.pull_seconds = 0.0
        self.usage: dict[str, PodStats] = {}
        self.images: dict[str, Image] = {}
        self.healthy = RuntimeHealth()
        self._any_image = image
        self._clock = clock
        self._pods: dict[str, _Pod] = {}
        self._failures: dict[str, deque[RuntimeFailure]] = {}
        self._changed: Callable[[str], None] = lambda uid: None
        self._count = 0

    # What a test says

    def fail(self, method: str, reason: str, message: str, times: int = 1) -> None:
        """The next `times` calls of `method` fail."""
        self._failures.setdefault(method, deque()).extend([RuntimeFailure(reason, message)] * times)

    def end(self, uid: str, name: str, code: int = 0, reason: str = "", message: str = "") -> None:
        """The running container ends by itself."""
        self._end(self._pods[uid], name, code, reason, message)
        self._changed(uid)

    def lose_sandbox(self, uid: str) -> None:
        """The sandbox dies, and everything in it."""
        there = self._pods[uid]
        there.ready = False
        for name, states in there.containers.items():
            if states[-1].state == "running":
                self._end(there, name, KILLED)
        self._changed(uid)

    def running(self, uid: str) -> list[str]:
        there = self._pods.get(uid)
        return [name for name, states in there.containers.items() if states[-1].state == "running"] if there else []

    # The contract

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._changed = callback

    async def health(self) -> RuntimeHealth:
        return self.healthy

    async def observe(self, pod: Object) -> PodState:
        self._may_fail("observe")
        await trio.lowlevel.checkpoint()
        there = self._pods.get(pod["metadata"]["uid"])
        if there is None:
            return PodState()
        return PodState(
            there.sandbox_id,
            there.ready,
            (there.ip,) if there.ip and there.ready else (),
            tuple(states[-1] for states in there.containers.values()),
            tuple(states[-2] for states in there.containers.values() if len(states) > 1),
        )

    async def list_pods(self) -> tuple[Object, ...]:
        return tuple({**there.pod, "spec": {"containers": []}} for there in self._pods.values())

    async def run_sandbox(self, pod: Object, attempt: int, spec: SandboxSpec | None = None) -> str:
        self._ask("run_sandbox", pod)
        await trio.lowlevel.checkpoint()
        there = self._pods.setdefault(pod["metadata"]["uid"], _Pod(pod))
        there.sandbox_id, there.ready = self._id(), True
        there.ip = "" if pod["spec"].get("hostNetwork") else f"127.1.0.{self._count % 250 + 1}"
        self.sandboxes.append(spec)
        return there.sandbox_id

    async def start_container(self, spec: ContainerSpec) -> str:
        self._ask("start_container", spec.pod, spec.container["name"])
        await trio.lowlevel.checkpoint()
        there = self._pods[spec.pod["metadata"]["uid"]]
        image = spec.container.get("image", "")
        state = ContainerState(
            spec.container["name"],
            f"scripted://{self._id()}",
            image,
            f"sha256:{image}",
            "running",
            spec.attempt,
            self._clock.now(),
            sandbox_id=spec.sandbox_id,
        )
        there.containers.setdefault(state.name, []).append(state)
        self.specs.append(spec)
        return state.id

    async def update_container(self, pod: Object, container_id: str, container: Object) -> None:
        self._ask("update_container", pod, container_id)
        self.updates.append((container["name"], container.get("resources") or {}))
        await trio.lowlevel.checkpoint()

    async def stop_container(self, pod: Object, container_id: str, grace: float) -> None:
        self._ask("stop_container", pod, container_id)
        there = self._pods.get(pod["metadata"]["uid"])
        found = _by_id(there, container_id)
        await trio.lowlevel.checkpoint()
        if there is None or found is None or found.state != "running":
            return
        takes = self.stop_seconds.get(found.name, 0.0)
        await trio.sleep(min(takes, grace))
        self._end(there, found.name, TERMINATED if takes <= grace else KILLED)
        self._changed(pod["metadata"]["uid"])

    async def stop_sandbox(self, pod: Object, sandbox_id: str) -> None:
        self._ask("stop_sandbox", pod)
        await trio.lowlevel.checkpoint()
        there = self._pods.get(pod["metadata"]["uid"])
        if there is not None:
            there.ready = False
            for name, states in there.containers.items():
                if states[-1].state == "running":
                    self._end(there, name, KILLED)

    async def remove(self, pod: Object) -> None:
        self._ask("remove", pod)
        await trio.lowlevel.checkpoint()
        self._pods.pop(pod["metadata"]["uid"], None)

    async def exec_sync(
        self, pod: Object, container_id: str, command: Sequence[str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        self._ask("exec_sync", pod, " ".join(command))
        if timeout and self.command_seconds > timeout:
            await trio.sleep(timeout)
            raise RuntimeFailure("DeadlineExceeded", f"command timed out after {timeout} s")
        await trio.sleep(self.command_seconds)
        answer = self.commands.get(command[0])
        return answer(command) if answer is not None else (0, b"", b"")

    async def read_logs(
        self, container_id: str, options: LogOptions, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        await write(self.logs.get(container_id, b""))

    async def ensure_image(self, pod: Object, container: Object, secrets: Sequence[Object] = ()) -> bool:
        self._ask("ensure_image", pod, container["name"])
        image = container.get("image", "")
        if container.get("imagePullPolicy") == "Never" and image not in self.images:
            text = f'Container image "{image}" is not present with pull policy of Never'
            raise RuntimeFailure("ErrImageNeverPull", text)
        await trio.sleep(self.pull_seconds)
        pulled = image not in self.images
        self.images[image] = Image(f"sha256:{image}", (image,), size=1000)
        return pulled

    async def image_status(self, image: str) -> Image | None:
        return self.images.get(image, self._any_image)

    async def list_images(self) -> tuple[Image, ...]:
        return tuple(self.images.values())

    async def images_in_use(self) -> frozenset[str]:
        return frozenset(
            state.image_id for there in self._pods.values() for states in there.containers.values() for state in states
        )

    async def remove_image(self, image: str) -> None:
        self.asked.append(("remove_image", image))
        self._may_fail("remove_image")
        self.images = {name: one for name, one in self.images.items() if one.id != image}

    async def stats(self, pod: Object) -> PodStats:
        return self.usage.get(pod["metadata"]["uid"], PodStats())

    def _ask(self, method: str, pod: Object, about: str = "") -> None:
        self.asked.append((method, about or pod["metadata"]["name"]))
        self._may_fail(method)

    def _may_fail(self, method: str) -> None:
        waiting = self._failures.get(method)
        if waiting:
            raise waiting.popleft()

    def _id(self) -> str:
        self._count += 1
        return f"{self._count:064x}"

    def _end(self, there: _Pod, name: str, code: int, reason: str = "", message: str = "") -> None:
        states = there.containers[name]
        states[-1] = evolve(
            states[-1],
            state="exited",
            exit_code=code,
            reason=reason,
            message=message,
            finished_at=self._clock.now(),
        )


def _by_id(there: _Pod | None, container_id: str) -> ContainerState | None:
    if there is None:
        return None
    return next((s for states in there.containers.values() for s in states if s.id == container_id), None)


@frozen
class Subject:
    """A runtime to check. `living` makes a pod (its name is given) of one container, "main", that runs until it is
    stopped; `ending` one whose container ends by itself, with the exit code given, within `patience` seconds."""

    runtime: ContainerRuntime
    living: Callable[[str], Object]
    ending: Callable[[str, int], Object]
    patience: float = 5.0


async def _started(subject: Subject, pod: Object, attempt: int = 0) -> str:
    runtime = subject.runtime
    state = await runtime.observe(pod)
    sandbox = state.sandbox_id if state.sandbox_ready else await runtime.run_sandbox(pod, 0)
    container = pod["spec"]["containers"][0]
    await runtime.ensure_image(pod, container)
    return await runtime.start_container(ContainerSpec(pod, container, sandbox, "app", attempt))


async def _main(subject: Subject, pod: Object) -> ContainerState:
    found = (await subject.runtime.observe(pod)).container("main")
    assert found is not None, "the container that was started is not there"
    return found


async def _until_ended(subject: Subject, pod: Object) -> ContainerState:
    with trio.fail_after(subject.patience):
        while True:
            there = await _main(subject, pod)
            if there.state == "exited":
                return there
            await trio.sleep(0.05)


async def check_a_pod_nobody_started_is_not_there(subject: Subject) -> None:
    state = await subject.runtime.observe(subject.living("stranger"))
    assert state == PodState()


async def check_a_sandbox_is_ready_until_it_is_stopped(subject: Subject) -> None:
    runtime, pod = subject.runtime, subject.living("sandbox")
    sandbox = await runtime.run_sandbox(pod, 0)
    state = await runtime.observe(pod)
    assert (state.sandbox_id, state.sandbox_ready) == (sandbox, True)
    assert state.ips, "a pod in a network of its own has an address"
    assert state.containers == ()
    for _ in range(2):
        await runtime.stop_sandbox(pod, sandbox)
        assert not (await runtime.observe(pod)).sandbox_ready
    await runtime.remove(pod)


async def check_a_container_runs_until_it_is_stopped(subject: Subject) -> None:
    runtime, pod = subject.runtime, subject.living("stopped")
    id_ = await _started(subject, pod)
    there = await _main(subject, pod)
    assert (there.id, there.state, there.attempt) == (id_, "running", 0)
    assert isinstance(there.started_at, datetime)
    for _ in range(2):
        await runtime.stop_container(pod, id_, 1.0)
        ended = await _main(subject, pod)
        assert ended.state == "exited", "stop_container returns when the container has ended"
        assert ended.finished_at is not None
        assert there.started_at <= ended.finished_at
    await runtime.stop_sandbox(pod, (await runtime.observe(pod)).sandbox_id)
    await runtime.remove(pod)


async def check_a_container_that_ends_says_with_what(subject: Subject) -> None:
    for code in (0, 3):
        pod = subject.ending(f"ends-{code}", code)
        await _started(subject, pod)
        assert (await _until_ended(subject, pod)).exit_code == code
        await subject.runtime.remove(pod)


async def check_another_attempt_keeps_the_one_before(subject: Subject) -> None:
    runtime, pod = subject.runtime, subject.living("again")
    first = await _started(subject, pod)
    await runtime.stop_container(pod, first, 1.0)
    second = await _started(subject, pod, attempt=1)
    state = await runtime.observe(pod)
    assert [(c.id, c.attempt, c.state) for c in state.containers] == [(second, 1, "running")]
    assert [(c.id, c.attempt, c.state) for c in state.previous] == [(first, 0, "exited")]
    await runtime.stop_container(pod, second, 1.0)
    await runtime.stop_sandbox(pod, state.sandbox_id)
    await runtime.remove(pod)


async def check_removing_leaves_nothing_and_may_be_repeated(subject: Subject) -> None:
    runtime, pod = subject.runtime, subject.living("removed")
    id_ = await _started(subject, pod)
    await runtime.stop_container(pod, id_, 1.0)
    await runtime.stop_sandbox(pod, (await runtime.observe(pod)).sandbox_id)
    for _ in range(2):
        await runtime.remove(pod)
        assert await runtime.observe(pod) == PodState()
    assert pod["metadata"]["uid"] not in [left["metadata"]["uid"] for left in await runtime.list_pods()]


async def check_stopping_may_be_cancelled_and_asked_again(subject: Subject) -> None:
    runtime, pod = subject.runtime, subject.living("hasty")
    id_ = await _started(subject, pod)
    with trio.move_on_after(0):
        await runtime.stop_container(pod, id_, 30.0)
    await runtime.stop_container(pod, id_, 0.0)
    assert (await _main(subject, pod)).state == "exited"
    await runtime.stop_sandbox(pod, (await runtime.observe(pod)).sandbox_id)
    await runtime.remove(pod)


CHECKS: tuple[Callable[[Subject], Awaitable[None]], ...] = (
    check_a_pod_nobody_started_is_not_there,
    check_a_sandbox_is_ready_until_it_is_stopped,
    check_a_container_runs_until_it_is_stopped,
    check_a_container_that_ends_says_with_what,
    check_another_attempt_keeps_the_one_before,
    check_removing_leaves_nothing_and_may_be_repeated,
    check_stopping_may_be_cancelled_and_asked_again,
)
