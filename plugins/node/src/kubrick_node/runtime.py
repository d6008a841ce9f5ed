"""The contract between the node agent and what really runs containers.

The agent decides (plan.py) and asks; a `ContainerRuntime` does and reports. It is shaped after CRI v1
(sandboxes, containers with attempts), so that a runtime behind a socket is a thin translation, and
loosely enough that a runtime without processes can compute its answers.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

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
    yet; probes are the agent's business."""

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
class ContainerSpec:
    """What to start: `container` is the pod spec's entry, `role` init, sidecar, app or ephemeral."""

    pod: Object
    container: Object
    sandbox_id: str
    role: str
    attempt: int


@frozen
class RuntimeInfo:
    """Name and version as node.status.nodeInfo.containerRuntimeVersion shows them (name://version)."""

    name: str
    version: str


class ContainerRuntime(Protocol):
    """What really runs containers. All methods may be called concurrently for different pods; for one
    pod the agent calls one at a time. Failures are raised as `RuntimeFailure`."""

    info: RuntimeInfo

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Remember `callback`: to be called with a pod's uid, in the trio thread, whenever something of
        that pod may have changed by itself."""
        ...

    async def observe(self, pod: Object) -> PodState:
        """What there is of this pod now. Called first for every pod the agent learns of, also after the
        agent's restart: a pod that already runs is adopted, not started again."""
        ...

    async def ensure_image(self, pod: Object, container: Object) -> bool:
        """Have the container's image, by its pull policy. True if it had to be pulled. Raises
        RuntimeFailure with reason ErrImagePull, ErrImageNeverPull or InvalidImageName."""
        ...

    async def run_sandbox(self, pod: Object, attempt: int) -> str:
        """Create and start the pod's sandbox, network included; returns its id."""
        ...

    async def start_container(self, spec: ContainerSpec) -> str:
        """Create and start a container; returns its id."""
        ...

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
