"""Where a worker's findings go: the node's agent, or whatever a test puts in its place."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kubrick_node.worker import PodWorker

Object = dict[str, Any]


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
