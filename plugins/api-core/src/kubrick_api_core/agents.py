"""What a node's agent does for users through the API server: logs, exec, attach, port-forward.

The API server asks whoever offers a `NodeConnector` first: nodes whose agent is in this process are reached
without sockets. All others are reached over HTTPS, at the address and port in their status.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from kubrick_http import Response, Stream
    from kubrick_http.portforward import Forwarder
    from kubrick_http.remotecommand import Session, Streams


@frozen
class Target:
    """A container of a pod; `uid` may be "" (whichever pod has that name)."""

    namespace: str
    pod: str
    container: str = ""
    uid: str = ""


class Agent(Protocol):
    """One node's agent. Everything raises `kubrick_api.errors.StatusError` when the context is entered."""

    def logs(self, target: Target, params: Mapping[str, str]) -> "AbstractAsyncContextManager[Stream]":
        """A container's log; `params` are PodLogOptions as in a URL, checked (follow, previous, sinceSeconds,
        sinceTime, timestamps, tailLines, limitBytes, stream)."""
        ...

    def exec(
        self, target: Target, command: Sequence[str], streams: "Streams"
    ) -> "AbstractAsyncContextManager[Session]":
        """Run a command in a container. Leaving the block ends the session."""
        ...

    def attach(self, target: Target, streams: "Streams") -> "AbstractAsyncContextManager[Session]":
        """The streams of a container's own process."""
        ...

    def port_forward(self, target: Target, ports: Sequence[int]) -> "AbstractAsyncContextManager[Forwarder]":
        """A way to the pod's ports; `ports` are those known beforehand, perhaps none."""
        ...

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> "Response":
        """Any request to the agent's own paths (the node's proxy subresource): /healthz, /metrics, /pods."""
        ...


class NodeConnector(Protocol):
    """Knows the agents of this process. Offered with ``kernel.offer(NodeConnector, ...)``."""

    def agent(self, node: str) -> Agent | None:
        """The node's agent; None when it isn't here. Raises StatusError when it is but doesn't answer."""
        ...
