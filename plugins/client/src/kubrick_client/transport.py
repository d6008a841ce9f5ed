"""How a client reaches a server: in this process, or over HTTPS. Two methods, nothing else."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from attrs import frozen

from kubrick_api.storage import Call, UserInfo


class Unreachable(Exception):
    """There was no answer: no connection, or it broke before the answer was whole."""


@frozen
class WatchEvent:
    """One watch event. `type` is ADDED, MODIFIED, DELETED or BOOKMARK. `object` is shared in process:
    never change it."""

    type: str
    object: dict[str, Any]


class WatchStream(Protocol):
    """An open watch."""

    async def receive(self) -> list[WatchEvent]:
        """Wait for events; an empty list means the server ended the watch (start a new one from the
        last resourceVersion). Raises StatusError for an ERROR event (410 Expired: list again)."""
        ...


class Transport(Protocol):
    """One identity's way to one server."""

    async def call(self, call: Call) -> dict[str, Any]:
        """Run any call but a watch. Raises `kubrick_api.errors.StatusError`; over HTTPS also
        `Unreachable` when there is no answer at all. `call.user` is ignored: the
        transport knows who it is. Results are shared objects in process: never change them."""
        ...

    def watch(self, call: Call) -> AbstractAsyncContextManager[WatchStream]:
        """Open a watch; leaving the block ends it."""
        ...


class Connector(Protocol):
    """What an API server in this process offers (`Kernel.offer(Connector, ...)`)."""

    def transport(self, user: UserInfo) -> Transport:
        """The way in for a component of this process, as `user`: same authorization, admission and
        audit as over HTTPS."""
        ...
