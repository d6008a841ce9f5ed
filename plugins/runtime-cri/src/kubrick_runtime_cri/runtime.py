"""Runs pods through CRI v1: the `ContainerRuntime` in front of containerd or CRI-O.

What it knows it reads from the runtime, by the labels that config.py writes, so it adopts what it finds. Two
things it remembers, and both can be lost: what a sandbox was made with, and statuses that don't change any
more. While the runtime is away, what has to be done (looking, stopping, removing) waits for it, and what may
fail (starting, executing) fails.
"""

import math
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import trio
from attrs import field, frozen

from kubrick_kernel import Clock, get_logger
from kubrick_node import (
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
from kubrick_runtime_cri import rotation
from kubrick_runtime_cri.calls import CALL_SECONDS, Calls, insist
from kubrick_runtime_cri.channel import DEADLINE_EXCEEDED, NOT_FOUND, UNIMPLEMENTED, Channel, RPCError
from kubrick_runtime_cri.config import (
    LOG_ROOT,
    POD_NAME,
    POD_NAMESPACE,
    POD_UID,
    container_config,
    log_directory,
    sandbox_config,
)
from kubrick_runtime_cri.images import Images
from kubrick_runtime_cri.messages import ENUMS
from kubrick_runtime_cri.relist import Relist
from kubrick_runtime_cri.resources import container_resources
from kubrick_runtime_cri.states import (
    CREATED,
    EXITED,
    READY,
    RUNNING,
    addresses,
    aggregate,
    by_name,
    container_state,
    falls_back,
    message_file,
    newest_sandbox,
    pod_state,
    pod_stats,
)
from kubrick_runtime_cri.tail import read_log, termination_message

Object = dict[str, Any]
log = get_logger("runtime-cri")

VERSION_SECONDS = 5.0
HEALTH_SECONDS = 2.0
SANDBOX_SECONDS = 240.0
MARGIN_SECONDS = 5.0
DOWN = "container runtime is down"
_DRIVERS: dict[int, Literal["cgroupfs", "systemd"]] = {
    ENUMS["CgroupDriver"]["CGROUPFS"]: "cgroupfs",
    ENUMS["CgroupDriver"]["SYSTEMD"]: "systemd",
}


@frozen
class Place:
    """Where the runtime is, and where things of pods go. `state` keeps termination messages."""

    socket: str
    state: Path
    logs: str = LOG_ROOT
    program: str = "ctr"
    cgroup_driver: Literal["cgroupfs", "systemd"] = "cgroupfs"
    memory_capacity: int = field(factory=lambda: os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    cgroup_v2: bool = field(factory=lambda: Path("/sys/fs/cgroup/cgroup.controllers").exists())
    log_size: int = rotation.MAX_SIZE
    log_files: int = rotation.MAX_FILES


class CRIRuntime(ContainerRuntime):
    """One runtime behind one socket. Works while `run` does."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self.info = RuntimeInfo("containerd", "")
        self._place = place
        self._clock = clock
        self._channel = Channel(place.socket)
        self._cri = Calls(self._channel)
        self._relist = Relist(self._cri, lambda uid: self._changed(uid))
        self._changed: Callable[[str], None] = lambda uid: None
        self._images = Images(self._cri, place.program, place.socket)
        self._driver = place.cgroup_driver
        self._sandboxes: dict[str, Object] = {}
        self._ips: dict[str, tuple[str, ...]] = {}
        self._running: dict[str, Any] = {}
        self._ended: dict[str, ContainerState] = {}
        self._starting: set[str] = set()
        self._excess: dict[tuple[str, str], list[str]] = {}
        self._logs: dict[str, set[str]] = {}
        self._seen: dict[str, PodState] = {}
        self._no_network = ""

    # Itself

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._channel.run)
            version = await insist(lambda: self._cri("Version", VERSION_SECONDS), "Version")
            self.info = RuntimeInfo(version.runtime_name, version.runtime_version)
            if self.info.name != "containerd":
                self._images = Images(self._cri, "", "")
            await self._ask_driver()
            nursery.start_soon(self._relist.run)
            nursery.start_soon(self._rotate)
            task_status.started()

    async def _ask_driver(self) -> None:
        try:
            self._driver = _DRIVERS[(await self._cri("RuntimeConfig", VERSION_SECONDS)).linux.cgroup_driver]
        except RPCError as error:
            if error.code != UNIMPLEMENTED:  # older runtimes leave it to the settings
                log.warning("the runtime does not say how it names cgroups", error=str(error))

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._changed = callback

    async def health(self) -> RuntimeHealth:
        try:
            response = await self._cri("Status", HEALTH_SECONDS)
        except RPCError:
            return RuntimeHealth(False, aggregate([DOWN, self._relist.problem]), self._driver)
        problems = [self._relist.problem] + [
            f"{'container runtime network' if c.type == 'NetworkReady' else 'container runtime'} not ready: "
            f"{c.type}=false reason:{c.reason} message:{c.message}"
            for c in response.status.conditions
            if c.type in ("RuntimeReady", "NetworkReady") and not c.status
        ]
        self._no_network = next((problem for problem in problems if "NetworkReady=" in problem), "")
        handlers = tuple(handler.name for handler in response.runtime_handlers)
        strict = response.features.supplemental_groups_policy if response.HasField("features") else None
        deep = tuple(one.name for one in response.runtime_handlers if one.features.recursive_read_only_mounts)
        return RuntimeHealth(not any(problems), aggregate(problems), self._driver, handlers, deep, strict)

    # Looking

    async def _listed(self, uid: str) -> tuple[Sequence[Any], Sequence[Any]]:
        """A pod's sandboxes and containers."""
        chosen = {"label_selector": {POD_UID: uid}}
        sandboxes = await self._cri.needed("ListPodSandbox", filter=chosen)
        containers = await self._cri.needed("ListContainers", filter=chosen)
        return sandboxes.items, containers.containers

    async def observe(self, pod: Object) -> PodState:
        uid = pod["metadata"]["uid"]
        sandboxes, containers = await self._listed(uid)
        sandbox = newest_sandbox(sandboxes)
        current: list[ContainerState] = []
        previous: list[ContainerState] = []
        for name, all_ in by_name(containers).items():
            # A container that was created and not started is left of a start that was cut short.
            there = [c for c in all_ if c.state != CREATED or c.id in self._starting]
            states = [state for c in there[:2] if (state := await self._state(c, uid)) is not None]
            current.extend(states[:1])
            previous.extend(states[1:])
            kept = {c.id for c in there[:2]}
            self._excess[uid, name] = [c.id for c in all_ if c.id not in kept]
        seen = self._seen[uid] = pod_state(sandbox, await self._addresses(sandbox), current, previous)
        return seen

    def remembered(self, pod: Object) -> PodState | None:
        return self._seen.get(pod["metadata"]["uid"])

    async def _state(self, container: Any, uid: str) -> ContainerState | None:
        """Asks for the details once per state."""
        id_ = container.id
        ended = self._ended.get(id_)
        if ended is not None:
            return ended
        status = self._running.get(id_) if container.state == RUNNING else None
        if status is None:
            response = await self._cri.needed("ContainerStatus", container_id=id_)
            if response is None:
                return None
            status = response.status
            if status.log_path:
                self._logs.setdefault(uid, set()).add(os.path.dirname(os.path.dirname(status.log_path)))
        if status.state == RUNNING:
            self._running[id_] = status
            return container_state(status, self.info.name, container.pod_sandbox_id)
        self._running.pop(id_, None)
        if status.state == CREATED:
            return container_state(status, self.info.name, container.pod_sandbox_id)
        words = termination_message(message_file(status), status.log_path, falls_back(status))
        state = container_state(status, self.info.name, container.pod_sandbox_id, words)
        if status.state == EXITED:
            self._ended[id_] = state
        return state

    async def _addresses(self, sandbox: Any | None) -> tuple[str, ...]:
        if sandbox is None or sandbox.state != READY:
            return ()
        if sandbox.id not in self._ips:
            response = await self._cri.needed("PodSandboxStatus", pod_sandbox_id=sandbox.id)
            self._ips[sandbox.id] = addresses(response.status) if response is not None else ()
        return self._ips[sandbox.id]

    async def list_pods(self) -> tuple[Object, ...]:
        response = await self._cri.needed("ListPodSandbox")
        pods: dict[str, Object] = {}
        for labels in (item.labels for item in response.items):
            if POD_UID in labels:
                metadata = {"name": labels[POD_NAME], "namespace": labels[POD_NAMESPACE], "uid": labels[POD_UID]}
                pods[labels[POD_UID]] = {"metadata": metadata, "spec": {"containers": []}}
        return tuple(pods.values())

    async def stats(self, pod: Object) -> PodStats:
        chosen = {"label_selector": {POD_UID: pod["metadata"]["uid"]}}
        containers = await self._cri.asked("StatsError", "ListContainerStats", filter=chosen)
        try:
            pods = (await self._cri("ListPodSandboxStats", filter=chosen)).stats
        except RPCError:  # runtimes that have the containers' only
            pods = []
        network = next((item.linux.network for item in pods if item.linux.HasField("network")), None)
        return pod_stats(containers.stats, network)

    # Acting

    async def run_sandbox(self, pod: Object, attempt: int, spec: SandboxSpec | None = None) -> str:
        uid = pod["metadata"]["uid"]
        await self._insist_on_network(pod)
        old, _ = await self._listed(uid)
        for sandbox in sorted(old, key=lambda s: s.created_at):
            # What is left of an earlier one ends with it; its containers tell of themselves for one more round.
            await self._cri.needed("StopPodSandbox", pod_sandbox_id=sandbox.id)
            if sandbox.metadata.attempt < max(s.metadata.attempt for s in old):
                await self._cri.needed("RemovePodSandbox", pod_sandbox_id=sandbox.id)
            attempt = max(attempt, sandbox.metadata.attempt + 1)
        spec = spec or SandboxSpec()
        handler = spec.handler
        config = sandbox_config(pod, attempt, spec, self._place.logs)
        self._logs.setdefault(uid, set()).add(config["log_directory"])
        try:
            os.makedirs(config["log_directory"], mode=0o755, exist_ok=True)
            response = await self._cri("RunPodSandbox", SANDBOX_SECONDS, config=config, runtime_handler=handler)
        except (RPCError, OSError) as error:
            await self.health()
            raise RuntimeFailure("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}") from None
        id_: str = response.pod_sandbox_id
        self._sandboxes[id_] = config
        self._relist.note(id_, uid, READY)
        return id_

    async def _insist_on_network(self, pod: Object) -> None:
        """Raises RuntimeFailure: without a network no sandbox is tried but of the host's own."""
        if self._no_network and not pod["spec"].get("hostNetwork"):
            await self.health()
            if self._no_network:
                raise RuntimeFailure("NetworkNotReady", f"network is not ready: {self._no_network}")

    async def start_container(self, spec: ContainerSpec) -> str:
        name, uid = spec.container["name"], spec.pod["metadata"]["uid"]
        for old in self._excess.pop((uid, name), ()):
            await self._cri.needed("RemoveContainer", container_id=old)
            self._forget(old)
        wanted = spec.container.get("image", "")
        image = await self._images.named(wanted)
        if image is None:
            raise RuntimeFailure("CreateContainerError", f'image "{wanted}" is not present')
        sandbox = self._sandbox(spec)
        config = container_config(
            spec,
            image.id,
            image_user=image.user,
            target_id=await self._target(spec),
            message_file=self._prepare(spec, sandbox["log_directory"]),
            memory_capacity=self._place.memory_capacity,
            cgroup_v2=self._place.cgroup_v2,
        )
        response = await self._cri.asked(
            "CreateContainerError",
            "CreateContainer",
            pod_sandbox_id=spec.sandbox_id,
            config=config,
            sandbox_config=sandbox,
        )
        id_: str = response.container_id
        self._starting.add(id_)
        try:
            await self._cri.asked("RunContainerError", "StartContainer", container_id=id_)
        finally:
            self._starting.discard(id_)
        self._relist.note(id_, uid, RUNNING)
        return f"{self.info.name}://{id_}"

    def _sandbox(self, spec: ContainerSpec) -> Object:
        """What the container's sandbox was made with."""
        known = self._sandboxes.get(spec.sandbox_id)
        if known is None:
            known = sandbox_config(spec.pod, 0, spec.sandbox or SandboxSpec(), self._place.logs)
            self._sandboxes[spec.sandbox_id] = known
        return known

    def _prepare(self, spec: ContainerSpec, logs: str) -> str:
        """Make the folder of its logs and the file of its last words; the path of the latter."""
        name = spec.container["name"]
        folder = self._place.state / "termination" / spec.pod["metadata"]["uid"] / name
        message = folder / str(spec.attempt)
        try:
            os.makedirs(f"{logs}/{name}", mode=0o755, exist_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
            message.write_bytes(b"")
            message.chmod(0o666)  # whoever the container runs as shall be able to write it
        except OSError as error:
            raise RuntimeFailure("CreateContainerError", str(error)) from None
        return str(message)

    async def _target(self, spec: ContainerSpec) -> str:
        """The container that an ephemeral one looks at."""
        wanted = spec.container.get("targetContainerName")
        if not wanted:
            return ""
        _, containers = await self._listed(spec.pod["metadata"]["uid"])
        found: str | None = next((c.id for c in by_name(containers).get(wanted, ()) if c.state == RUNNING), None)
        if found is None:
            raise RuntimeFailure("CreateContainerConfigError", f"unable to find target container {wanted}")
        return found

    async def update_container(self, pod: Object, container_id: str, container: Object) -> None:
        resources = container_resources(pod, container, self._place.memory_capacity, self._place.cgroup_v2)
        fields = {"container_id": _plain(container_id), "linux": resources}
        await self._cri.asked("UpdateContainerError", "UpdateContainerResources", **fields)

    async def stop_container(self, pod: Object, container_id: str, grace: float) -> None:
        seconds = math.ceil(max(grace, 0.0))
        timeout = seconds + CALL_SECONDS
        await self._cri.needed("StopContainer", timeout, container_id=_plain(container_id), timeout=seconds)

    async def stop_sandbox(self, pod: Object, sandbox_id: str) -> None:
        await self._cri.needed("StopPodSandbox", pod_sandbox_id=sandbox_id)

    async def remove(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        self._seen.pop(uid, None)
        sandboxes, containers = await self._listed(uid)
        for sandbox in sandboxes:
            await self._cri.needed("StopPodSandbox", pod_sandbox_id=sandbox.id)
            await self._cri.needed("RemovePodSandbox", pod_sandbox_id=sandbox.id)
            self._sandboxes.pop(sandbox.id, None)
            self._ips.pop(sandbox.id, None)
        for container in containers:
            self._forget(container.id)
            self._excess.pop((uid, container.metadata.name), None)
        folders = [*self._logs.pop(uid, {log_directory(pod, self._place.logs)})]
        folders.append(str(self._place.state / "termination" / uid))
        for folder in folders:
            await trio.to_thread.run_sync(shutil.rmtree, folder, True)  # what isn't there is no error

    def _forget(self, id_: str) -> None:
        self._ended.pop(id_, None)
        self._running.pop(id_, None)

    # Running containers

    async def exec_sync(
        self, pod: Object, container_id: str, command: Sequence[str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        limit = timeout + MARGIN_SECONDS if timeout > 0 else math.inf
        fields = {"container_id": _plain(container_id), "cmd": list(command), "timeout": math.ceil(timeout)}
        try:
            done = await self._cri("ExecSync", limit, **fields)
        except RPCError as error:
            reason = "DeadlineExceeded" if error.code == DEADLINE_EXCEEDED else "ExecError"
            raise RuntimeFailure(reason, error.message) from None
        return done.exit_code, done.stdout, done.stderr

    async def exec_url(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "tty": tty}
        fields = {"container_id": _plain(container_id), "cmd": list(command), **streams}
        return str((await self._cri.asked("ExecError", "Exec", **fields)).url)

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "tty": tty}
        return str((await self._cri.asked("AttachError", "Attach", container_id=_plain(container_id), **streams)).url)

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        fields = {"pod_sandbox_id": sandbox_id, "port": list(ports)}
        return str((await self._cri.asked("PortForwardError", "PortForward", **fields)).url)

    async def log_path(self, container_id: str) -> str:
        return str((await self._status(container_id)).log_path)

    async def read_logs(
        self, container_id: str, options: LogOptions, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        path = await self.log_path(container_id)

        async def running() -> bool:
            response = await self._cri.needed("ContainerStatus", container_id=_plain(container_id))
            return response is not None and response.status.state == RUNNING

        try:
            await read_log(path, options, write, running)
        except OSError as error:
            raise RuntimeFailure("LogError", f'failed to open log file "{path}": {error.strerror}') from None

    async def _status(self, container_id: str) -> Any:
        id_ = _plain(container_id)
        known = self._running.get(id_)
        if known is not None:
            return known
        try:
            return (await self._cri("ContainerStatus", container_id=id_)).status
        except RPCError as error:
            reason = "NotFound" if error.code == NOT_FOUND else "ContainerStatusError"
            raise RuntimeFailure(reason, error.message) from None

    async def _rotate(self) -> None:
        """Look after the size of the logs of what runs."""
        while True:
            await trio.sleep(rotation.CHECK_SECONDS)
            for id_ in self._relist.running(RUNNING):
                status = self._running.get(id_)
                if status is None or not status.log_path:
                    continue
                try:
                    if os.stat(status.log_path).st_size > self._place.log_size:
                        await self.rotate_log(id_, Path(status.log_path))
                except (OSError, RPCError) as error:
                    log.warning("log not rotated", path=status.log_path, error=str(error))

    async def rotate_log(self, container_id: str, path: Path) -> None:
        """Put a log aside and let the runtime begin a new one. Raises OSError, RPCError."""
        files = self._place.log_files
        aside = await trio.to_thread.run_sync(rotation.rotate, path, self._clock.now(), files)
        try:
            await self._cri("ReopenContainerLog", container_id=_plain(container_id))
        except RPCError:
            aside.rename(path)
            raise

    # Images

    async def ensure_image(self, pod: Object, container: Object, secrets: Sequence[Object] = ()) -> bool:
        return await self._images.ensure(container, secrets)

    async def image_status(self, image: str) -> Image | None:
        return await self._images.named(image)

    async def list_images(self) -> tuple[Image, ...]:
        return await self._images.listed()

    async def images_in_use(self) -> frozenset[str]:
        response = await self._cri.asked("ImageUseError", "ListContainers")
        return frozenset(name for one in response.containers for name in (one.image.image, one.image_ref) if name)

    async def image_directory(self) -> str:
        response = await self._cri.asked("ImageFsError", "ImageFsInfo")
        return next((one.fs_id.mountpoint for one in response.image_filesystems), "")

    async def pull_image(self, image: str, secrets: Sequence[Object] = ()) -> str:
        return await self._images.pull(image, secrets)

    async def remove_image(self, image: str) -> None:
        await self._images.remove(image)

    async def import_image(self, path: str) -> tuple[str, ...]:
        return await self._images.import_archive(path)


def _plain(container_id: str) -> str:
    """The runtime's own id: without the name in front that Kubernetes puts there."""
    return container_id.rpartition("://")[2]
