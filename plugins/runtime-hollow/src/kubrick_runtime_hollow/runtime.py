"""A container runtime without processes: what a container does is a function of time and its script.

Nothing runs between two looks: a container's state is computed from when it was started and what its
script says (script.py), and `PodState.changes_at` tells the agent when to look again. The runtime has no
memory beyond the process: a pod it does not know is taken to be what its own status says.
"""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import trio
from attrs import define, field

from kubrick_kernel import Clock
from kubrick_kernel.clock import Random
from kubrick_node import (
    ContainerRuntime,
    ContainerSpec,
    ContainerState,
    LogOptions,
    PodState,
    RuntimeFailure,
    RuntimeInfo,
    SandboxSpec,
)
from kubrick_runtime_hollow.log import shown
from kubrick_runtime_hollow.script import BadScript, Script, read_script

Object = dict[str, Any]

INFO = RuntimeInfo("hollow", "0.1.0")
KILLED = 137
"""The exit code of a process that was killed."""
LOOK_SECONDS = 1.0
"""How often a followed log looks whether its container was asked to end."""


@define(eq=False)
class _Container:
    """One attempt. Times are trio's; `stop_at` is infinite until somebody asks it to end."""

    name: str
    id: str
    image: str
    attempt: int
    script: Script
    started: float
    started_at: datetime
    stop_at: float = math.inf
    stop_code: int = 0

    @property
    def ends(self) -> float:
        return min(self.started + self.script.exit_after, self.stop_at)

    def next_change(self, now: float) -> float:
        """When it becomes ready or ends, whichever comes next."""
        ready = self.started + self.script.ready_after
        return min((at for at in (ready, self.ends) if at > now), default=math.inf)

    def state(self, now: float) -> ContainerState:
        if now < self.ends:
            return ContainerState(
                self.name,
                self.id,
                self.image,
                f"hollow://{self.image}",
                "running",
                self.attempt,
                self.started_at,
                ready=now >= self.started + self.script.ready_after,
            )
        asked = self.stop_at < self.started + self.script.exit_after
        code = self.stop_code if asked else self.script.exit_code
        return ContainerState(
            self.name,
            self.id,
            self.image,
            f"hollow://{self.image}",
            "exited",
            self.attempt,
            self.started_at,
            self.started_at + timedelta(seconds=self.ends - self.started),
            code,
        )


@define(eq=False)
class _Pod:
    sandbox_id: str = ""
    ip: str = ""
    containers: dict[str, _Container] = field(factory=dict)
    previous: dict[str, _Container] = field(factory=dict)


class Addresses:
    """A node's pod addresses: handed out in turn, so that one just given back is not used at once."""

    def __init__(self, network: IPv4Network) -> None:
        self.network = network
        self._used: set[str] = set()
        self._turn = self._round()

    def _round(self) -> Iterator[IPv4Address]:
        hosts = self.network.hosts()
        next(hosts)  # the first is the gateway's
        return hosts

    def take(self) -> str:
        """A free address. Raises RuntimeFailure when all are taken."""
        for _ in range(2):
            for address in self._turn:
                if str(address) not in self._used:
                    self._used.add(str(address))
                    return str(address)
            self._turn = self._round()
        raise RuntimeFailure("FailedCreatePodSandBox", f"no address left in {self.network}")

    def adopt(self, address: str) -> None:
        self._used.add(address)

    def give_back(self, address: str) -> None:
        self._used.discard(address)


class HollowRuntime(ContainerRuntime):
    """One hollow node's runtime."""

    def __init__(self, addresses: Addresses, clock: Clock, generator: Random) -> None:
        self.info = INFO
        self._addresses = addresses
        self._clock = clock
        self._random = generator
        self._pods: dict[str, _Pod] = {}
        self._changed: Callable[[str], None] = lambda uid: None

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._changed = callback

    def _id(self) -> str:
        return f"{self._random.getrandbits(256):064x}"

    async def observe(self, pod: Object) -> PodState:
        uid = pod["metadata"]["uid"]
        there = self._pods.get(uid)
        if there is None:
            there = self._adopt(pod)
            if there is None:
                return PodState()
            self._pods[uid] = there
        now = trio.current_time()
        times = [container.next_change(now) for container in there.containers.values()]
        changes_at = min(times, default=math.inf)
        return PodState(
            there.sandbox_id,
            bool(there.sandbox_id),
            (there.ip,) if there.ip else (),
            tuple(container.state(now) for container in there.containers.values()),
            tuple(container.state(now) for container in there.previous.values()),
            None if changes_at == math.inf else changes_at,
        )

    def _adopt(self, pod: Object) -> _Pod | None:
        """A pod that ran before this process did, as its status tells it."""
        status = pod.get("status", {})
        statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        known = [s for s in statuses if s.get("containerID")]
        if not known:
            return None
        found = _Pod(self._id(), "" if pod["spec"].get("hostNetwork") else status.get("podIP", ""))
        if found.ip:
            self._addresses.adopt(found.ip)
        init = {c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") != "Always"}
        for s in known:
            state = s.get("state") or {}
            if "waiting" in state:
                state = s.get("lastState") or {}
            found.containers[s["name"]] = self._adopted(pod, s, state, s["name"] in init)
        return found

    def _adopted(self, pod: Object, status: Object, state: Object, init: bool) -> _Container:
        role = "init" if init else "app"
        started_at = _moment((state.get("running") or state.get("terminated") or {}).get("startedAt"), self._clock)
        started = trio.current_time() - (self._clock.now() - started_at).total_seconds()
        container = _Container(
            status["name"],
            status["containerID"],
            status["image"],
            status.get("restartCount", 0),
            read_script(pod, status["name"], role),
            started,
            started_at,
        )
        ended = state.get("terminated")
        if ended:
            finished = _moment(ended.get("finishedAt"), self._clock)
            container.stop_at = started + (finished - started_at).total_seconds()
            container.stop_code = ended["exitCode"]
        elif container.ends <= trio.current_time():
            # It would have ended while nobody was looking: it ends now.
            container.stop_at, container.stop_code = trio.current_time(), container.script.exit_code
        return container

    async def ensure_image(self, pod: Object, container: Object, secrets: Sequence[Object] = ()) -> bool:
        script = self._script(pod, container["name"], "app")
        if script.image_error:
            raise RuntimeFailure("ErrImagePull", script.image_error)
        return False

    def _script(self, pod: Object, name: str, role: str) -> Script:
        try:
            return read_script(pod, name, role)
        except BadScript as bad:
            raise RuntimeFailure("CreateContainerConfigError", str(bad)) from None

    async def run_sandbox(self, pod: Object, attempt: int, spec: SandboxSpec | None = None) -> str:
        uid = pod["metadata"]["uid"]
        there = self._pods.setdefault(uid, _Pod())
        if not pod["spec"].get("hostNetwork") and not there.ip:
            there.ip = self._addresses.take()
        there.sandbox_id = self._id()
        return there.sandbox_id

    async def start_container(self, spec: ContainerSpec) -> str:
        name = spec.container["name"]
        script = self._script(spec.pod, name, spec.role)
        if script.start_error:
            raise RuntimeFailure("RunContainerError", script.start_error)
        if script.start_after:
            await trio.sleep(script.start_after)
        there = self._pods[spec.pod["metadata"]["uid"]]
        if name in there.containers:
            there.previous[name] = there.containers[name]
        container = _Container(
            name,
            f"hollow://{self._id()}",
            spec.container.get("image", ""),
            spec.attempt,
            script,
            trio.current_time(),
            self._clock.now(),
        )
        there.containers[name] = container
        return container.id

    async def update_container(self, pod: Object, container_id: str, container: Object) -> None:
        """Nothing runs that could use more or less."""

    async def stop_container(self, pod: Object, container_id: str, grace: float) -> None:
        there = self._pods.get(pod["metadata"]["uid"])
        found = next((c for c in there.containers.values() if c.id == container_id), None) if there else None
        now = trio.current_time()
        if found is None or found.ends <= now:
            return
        asked = now if found.stop_at == math.inf else found.stop_at - found.script.stop_after
        wanted = max(asked + found.script.stop_after, now)
        if wanted > now + grace:
            found.stop_at, found.stop_code = now + grace, KILLED
        else:
            found.stop_at, found.stop_code = wanted, 0
        await trio.sleep_until(found.stop_at)

    async def stop_sandbox(self, pod: Object, sandbox_id: str) -> None:
        there = self._pods.get(pod["metadata"]["uid"])
        if there is not None:
            there.sandbox_id = ""
            if there.ip:
                self._addresses.give_back(there.ip)
                there.ip = ""

    async def remove(self, pod: Object) -> None:
        self._pods.pop(pod["metadata"]["uid"], None)

    async def read_logs(
        self, container_id: str, options: LogOptions, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        container = self._container(container_id)
        await write(shown(container.script.log, container.started_at, options))
        while options.follow and (left := container.ends - trio.current_time()) > 0:  # noqa: ASYNC110
            await trio.sleep(min(left, LOOK_SECONDS))  # its end moves when it is stopped

    def _container(self, container_id: str) -> _Container:
        for pod in self._pods.values():
            for container in (*pod.containers.values(), *pod.previous.values()):
                if container.id == container_id:
                    return container
        raise RuntimeFailure("NotFound", f"there is no container {container_id}")

    async def exec_url(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        raise _hollow("execute a command in")

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        raise _hollow("attach to")

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        raise _hollow("forward ports to")


def _hollow(what: str) -> RuntimeFailure:
    return RuntimeFailure("Unsupported", f"cannot {what} this container: it is hollow, no process runs in it")


def _moment(text: str | None, clock: Clock) -> datetime:
    """Kubernetes' time text; now when there is none."""
    return datetime.fromisoformat(text) if text else clock.now()
