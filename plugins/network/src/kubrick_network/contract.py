"""The contract of a CNI plugin that runs in the node agent's process.

A plugin has a name (the ``type`` of network configurations) and one method per verb of CNI 1.1. The
host has read and checked the environment and the configuration before it calls, and turns results
into the version the configuration asks for. Every method is called in a worker thread, so it may
block, and several may run at once for different containers. Failures are raised as `CNIError`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from attrs import evolve, field, frozen

from kubrick_network.errors import CNIError, invalid
from kubrick_network.result import SUPPORTED, Result, parse_result

ADD, DEL, CHECK, GC, STATUS, VERSION = "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"

Config = Mapping[str, Any]


@frozen
class Request:
    """One call. `config` is the network configuration as the plugin would read it from its standard
    input; `args` is CNI_ARGS; `path` is CNI_PATH. GC and STATUS concern no container."""

    command: str
    config: Config
    container_id: str = ""
    netns: str = ""
    ifname: str = ""
    args: Mapping[str, str] = field(factory=dict)
    path: tuple[str, ...] = ()
    call: "Callable[[str, Request], Result | None] | None" = field(default=None, repr=False, eq=False)

    @property
    def network(self) -> str:
        """The network's name."""
        return str(self.config.get("name") or "")

    @property
    def version(self) -> str:
        return str(self.config.get("cniVersion") or SUPPORTED[0])

    @property
    def previous(self) -> Result | None:
        """What the plugins before this one made (ADD), or the whole ADD (CHECK, DEL)."""
        document = self.config.get("prevResult")
        return None if document is None else parse_result(document)

    @property
    def runtime(self) -> Mapping[str, Any]:
        """What the runtime passes by capability: runtimeConfig."""
        return self.config.get("runtimeConfig") or {}

    @property
    def attachment(self) -> tuple[str, str]:
        return self.container_id, self.ifname

    def valid_attachments(self) -> set[tuple[str, str]]:
        """GC: the (container, interface) pairs that are still in use."""
        listed = self.config.get("cni.dev/valid-attachments")
        if not isinstance(listed, list):
            raise invalid("GC needs the list cni.dev/valid-attachments")
        return {(str(one.get("containerID", "")), str(one.get("ifname", ""))) for one in listed}

    def delegate(self, plugin: str, command: str = "") -> Result | None:
        """Call another plugin (address management) with this very request, as CNI's delegation has
        it; with another verb if `command` is given. ADD returns its result. It may be one of the
        agent's plugins or a program in CNI_PATH."""
        if self.call is None:
            raise CNIError(999, f"nothing to call {plugin!r} with")
        return self.call(plugin, evolve(self, command=command or self.command))


class CNIPlugin(Protocol):
    """A plugin. `versions` are the configuration versions it understands (a subset of `SUPPORTED`)."""

    @property
    def name(self) -> str: ...

    @property
    def versions(self) -> Sequence[str]: ...

    def add(self, request: Request) -> Result:
        """Attach the container, or change what the plugins before made. Leaves nothing when it raises."""
        ...

    def delete(self, request: Request) -> None:
        """Undo `add`. Idempotent; the namespace may be gone already, and so may the previous result."""
        ...

    def check(self, request: Request) -> None:
        """Raise when something isn't as `add` left it."""
        ...

    def gc(self, request: Request) -> None:
        """Remove what belongs to attachments of this network that aren't valid any more."""
        ...

    def status(self, request: Request) -> None:
        """Raise (50, 51) when an `add` could not be served now."""
        ...

    def teardown(self, request: Request) -> None:
        """Not a verb of CNI: remove what the network as a whole has on this node. Asked when the node
        is taken down, after all containers are gone."""
        ...


@runtime_checkable
class Restoring(CNIPlugin, Protocol):
    """A plugin whose doings can be made again without the runtime: the agent asks it after somebody flushed the
    rule set or deleted the bridge. `tables` are the inet tables of nftables that hold its rules."""

    @property
    def tables(self) -> Sequence[str]: ...

    def restore(self, request: Request) -> None:
        """Make again whatever `check` misses. The request is a CHECK's: `request.previous` is what `add`
        returned, and has to hold afterwards."""
        ...
