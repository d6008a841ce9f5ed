"""What a kind of volume is to the node agent.

The agent gives every volume of every pod a directory of its own, PODS/<uid>/volumes/<plugin>/<volume>, whose
name says which plugin made it: so it can be taken down after a restart, when nobody remembers the pod.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import frozen

Object = dict[str, Any]


class VolumeFailure(Exception):
    """The volume can't be had (yet). The message goes into the event FailedMount; it is tried again when
    something the volume refers to changes, and with growing pauses."""


@frozen
class Reference:
    """An object that a pod refers to, in the pod's namespace. Changes of it are worth another look."""

    kind: Literal["ConfigMap", "Secret"]
    name: str


class Sources(Protocol):
    """Where volumes get what they show."""

    @property
    def allocatable(self) -> dict[str, str]:
        """What the node has, for limits that are not set."""
        ...

    async def config_map(self, namespace: str, name: str) -> Object | None: ...

    async def secret(self, namespace: str, name: str) -> Object | None: ...

    async def token(self, pod: Object, audience: str, seconds: int) -> tuple[str, float]:
        """A token of the pod's service account, and when (trio time) to ask for another. Raises VolumeFailure."""
        ...


@frozen
class VolumeJob:
    """One volume to set up. `volume` is the pod spec's entry; `directory` belongs to the volume and exists;
    `fs_group` and `user` are whose the content shall be (None: root's)."""

    pod: Object
    volume: Object
    directory: Path
    sources: Sources
    fs_group: int | None = None
    user: int | None = None


@frozen
class Mounted:
    """A volume that is ready. `path` is what containers see; `refresh_at` (trio time) when `set_up` wants to be
    called again; a volume with `live` content is set up again also when the pod or a reference changes; `image` is
    the name of the image that it shows and that the runtime mounts."""

    path: Path
    refresh_at: float = float("inf")
    live: bool = False
    read_only: bool = False
    image: str = ""


class VolumePlugin(Protocol):
    """One kind of volume. One object serves all pods of the node."""

    @property
    def name(self) -> str:
        """Such as "kubernetes.io/empty-dir"; part of the directory's name."""
        ...

    def supports(self, volume: Object) -> bool:
        """Whether this entry of spec.volumes is of this kind. The first plugin that says so has it."""
        ...

    def references(self, volume: Object) -> Sequence[Reference]:
        """What `set_up` will read."""
        ...

    async def set_up(self, job: VolumeJob) -> Mounted:
        """Make it ready, or bring it up to date: is called again for a volume that is up, also after a restart
        of the agent, and must not disturb its readers. Raises VolumeFailure."""
        ...

    async def tear_down(self, directory: Path) -> None:
        """Unmount and remove whatever `set_up` made. The directory itself is removed by the agent. Idempotent."""
        ...
