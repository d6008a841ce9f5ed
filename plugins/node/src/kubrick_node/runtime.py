"""The contract between the node agent and what really runs containers.

The agent decides (plan.py) and asks; a `ContainerRuntime` does and reports. It is shaped after CRI v1
(sandboxes, containers with attempts), so that a runtime behind a socket is a thin translation, and
loosely enough that a runtime without processes can compute its answers.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import trio
from attrs import frozen

Object = dict[str, Any]


class RuntimeFailure(Exception):
    """The runtime could not do what was asked. `reason` is what a user sees in the container's waiting
    state and in events: ErrImagePull, CreateContainerError, RunContainerError, FailedCreatePodSandBox."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


@frozen
class ContainerState:
    """One container as the runtime sees it. `state` is created, running or exited. `attempt` counts
    from 0 and is the restart count. `ready` False means that the runtime itself knows it isn't ready
    yet; probes are the agent's business. `sandbox_id` ("" if the runtime doesn't say) tells containers of an
    earlier sandbox from those of this one. `user` (uid, gid, supplementalGroups) and `stop_signal` are there where the
    runtime tells them; `recursive` are the paths of mounts that are read-only all the way down."""

    name: str
    id: str
    image: str
    image_id: str
    state: str
    attempt: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    ready: bool = True
    log_path: str = ""
    sandbox_id: str = ""
    user: Object | None = None
    stop_signal: str = ""
    recursive: tuple[str, ...] = ()


@frozen
class PodState:
    """What there is of one pod. `containers` holds the latest attempt of each container, `previous` the
    one before, by name. `changes_at` (trio time) is when the runtime expects the next change; a runtime
    that reports changes by itself leaves it None."""

    sandbox_id: str = ""
    sandbox_ready: bool = False
    ips: tuple[str, ...] = ()
    containers: tuple[ContainerState, ...] = ()
    previous: tuple[ContainerState, ...] = ()
    changes_at: float | None = None

    def container(self, name: str) -> ContainerState | None:
        return next((c for c in self.containers if c.name == name), None)


@frozen
class DNS:
    """A pod's resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@frozen
class SandboxSpec:
    """What the agent decides about a pod's surroundings; what it leaves out the runtime takes from the pod.
    `log_directory` is where the logs of the pod's containers go, `cgroup_parent` the pod's cgroup,
    `handler` its RuntimeClass's."""

    hostname: str = ""
    dns: DNS | None = None
    log_directory: str = ""
    cgroup_parent: str = ""
    handler: str = ""


@frozen
class Mount:
    """A file or folder of the machine in a container; or the content of `image` (then `host_path` is where in it)."""

    container_path: str
    host_path: str
    read_only: bool = False
    propagation: Literal["None", "HostToContainer", "Bidirectional"] = "None"
    recursive_read_only: bool = False
    image: str = ""


@frozen
class ContainerSpec:
    """What to start: `container` is the pod spec's entry, `role` init, sidecar, app or ephemeral. `env`,
    `command` and `args` are final (looked up, expanded); `mounts` hold what the agent made ready. `sandbox` is
    what its sandbox was made with: needed when the runtime has not seen it made (the agent was restarted)."""

    pod: Object
    container: Object
    sandbox_id: str
    role: str
    attempt: int
    env: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    sandbox: SandboxSpec | None = None


@frozen
class Image:
    """An image that is there. `size` in bytes; `user` is what it runs as: a number, a name, or ""; a `pinned` one
    is not to be collected."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    user: str = ""
    pinned: bool = False


@frozen
class Usage:
    """What something uses. CPU time in nanoseconds since it began, memory in bytes."""

    cpu_nanoseconds: int = 0
    memory_usage: int = 0
    memory_working_set: int = 0
    memory_rss: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    filesystem_used: int = 0
    filesystem_inodes: int = 0
    at: datetime | None = None


@frozen
class Traffic:
    """What went through one network interface."""

    name: str
    rx_bytes: int = 0
    rx_errors: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0


@frozen
class PodStats:
    """What a pod uses: by container name, and its network interfaces."""

    containers: tuple[tuple[str, Usage], ...] = ()
    interfaces: tuple[Traffic, ...] = ()


@frozen
class LogOptions:
    """Which part of a container's log, as a pod's log is asked for. `stream` is All, Stdout or Stderr."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    stream: Literal["All", "Stdout", "Stderr"] = "All"


@frozen
class RuntimeInfo:
    """Name and version as node.status.nodeInfo.containerRuntimeVersion shows them (name://version)."""

    name: str
    version: str


@frozen
class RuntimeHealth:
    """Whether pods can be run; `message` says why not, in the words of the node's Ready condition.
    `cgroup_driver` says how the runtime wants cgroups to be named, `recursive_read_only` which of its
    handlers have mounts that are read-only with all that is mounted below. `strict_groups` says whether
    a container can be kept to the groups its pod names (None: the runtime doesn't tell)."""

    ready: bool = True
    message: str = ""
    cgroup_driver: Literal["cgroupfs", "systemd"] = "cgroupfs"
    handlers: tuple[str, ...] = ()
    recursive_read_only: tuple[str, ...] = ()
    strict_groups: bool | None = None


def _unsupported(what: str) -> RuntimeFailure:
    return RuntimeFailure("Unsupported", f"this container runtime has no {what}")


class ContainerRuntime(Protocol):
    """What really runs containers. All methods may be called concurrently for different pods; for one
    pod the agent calls one at a time (reading and execution apart). Failures are raised as `RuntimeFailure`.
    A runtime that inherits from this class answers "Unsupported" to what it does not define."""

    info: RuntimeInfo

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """What the runtime has to do beside being asked (listen for events, rotate logs). Started before
        anything else is called; may return at once."""
        task_status.started()

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Remember `callback`: to be called with a pod's uid, in the trio thread, whenever something of
        that pod may have changed by itself."""
        ...

    async def health(self) -> RuntimeHealth:
        """Whether pods can be run now. Does not raise."""
        return RuntimeHealth()

    # Pods

    async def observe(self, pod: Object) -> PodState:
        """What there is of this pod now. Called first for every pod the agent learns of, also after the
        agent's restart: a pod that already runs is adopted, not started again."""
        ...

    def remembered(self, pod: Object) -> PodState | None:
        """What `observe` last said of this pod: for whoever can't wait until the runtime is back."""
        return None

    async def list_pods(self) -> tuple[Object, ...]:
        """The pods that there is anything of: as objects with metadata (name, namespace, uid) and an empty
        spec, good enough for `observe`, `stop_sandbox` and `remove`."""
        return ()

    async def run_sandbox(self, pod: Object, attempt: int, spec: SandboxSpec | None = None) -> str:
        """Create and start the pod's sandbox, network included; returns its id."""
        ...

    async def start_container(self, spec: ContainerSpec) -> str:
        """Create and start a container; returns its id."""
        ...

    async def update_container(self, pod: Object, container_id: str, container: Object) -> None:
        """Give a running container the cpu and memory of `container`, the pod spec's entry."""
        raise _unsupported("resizing of containers")

    async def stop_container(self, pod: Object, container_id: str, grace: float) -> None:
        """Ask it to end, and kill it after `grace` seconds; returns when it has ended. May be cancelled
        and called again with less grace."""
        ...

    async def stop_sandbox(self, pod: Object, sandbox_id: str) -> None:
        """Stop the sandbox and release its network. Idempotent."""
        ...

    async def remove(self, pod: Object) -> None:
        """Forget all that is left of the pod. Idempotent."""
        ...

    async def stats(self, pod: Object) -> PodStats:
        """What the pod uses now."""
        return PodStats()

    # Running containers. `container_id` is as `ContainerState.id` has it.

    async def exec_sync(
        self, pod: Object, container_id: str, command: Sequence[str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command in a container: exit code, stdout, stderr. When it takes longer than `timeout`
        seconds (0: no limit): RuntimeFailure with reason DeadlineExceeded."""
        raise _unsupported("exec")

    async def exec_url(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        """Where (an HTTP URL of a streaming server, good for one use) a command can be run."""
        raise _unsupported("exec")

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        """Where a container's streams can be attached to."""
        raise _unsupported("attach")

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        """Where connections to a pod's ports can be made."""
        raise _unsupported("port-forward")

    async def log_path(self, container_id: str) -> str:
        """The file with the container's log."""
        raise _unsupported("logs")

    async def read_logs(
        self, container_id: str, options: LogOptions, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Hand the container's log to `write`, piece by piece. With `follow`, until the container ends or
        the caller cancels."""
        raise _unsupported("logs")

    # Images

    async def ensure_image(self, pod: Object, container: Object, secrets: Sequence[Object] = ()) -> bool:
        """Have the container's image, by its pull policy. True if it had to be pulled. `secrets` are the
        Secrets of its imagePullSecrets. Raises RuntimeFailure with reason ErrImagePull, ErrImageNeverPull,
        InvalidImageName or ImageInspectError."""
        ...

    async def image_status(self, image: str) -> Image | None:
        """The image of that name or id, if it is there. Raises RuntimeFailure with reason InvalidImageName or
        ImageInspectError."""
        return None

    async def list_images(self) -> tuple[Image, ...]:
        return ()

    async def images_in_use(self) -> frozenset[str]:
        """The ids (or names) of the images of all containers there are, running or not. Raises RuntimeFailure with
        reason Unsupported when it can't tell: then no image is collected."""
        raise _unsupported("image use")

    async def image_directory(self) -> str:
        """A folder on the disk with the images and the containers' files; "" if the runtime doesn't say."""
        return ""

    async def pull_image(self, image: str, secrets: Sequence[Object] = ()) -> str:
        """Pull an image; returns its id."""
        raise _unsupported("images")

    async def remove_image(self, image: str) -> None:
        raise _unsupported("images")

    async def import_image(self, path: str) -> tuple[str, ...]:
        """Import an image archive (docker or OCI); returns the names of what was in it."""
        raise _unsupported("images")
