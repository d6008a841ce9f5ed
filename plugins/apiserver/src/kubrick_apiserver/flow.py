"""The contract of flow control: who may be served now, who waits, and who is turned away.

A plugin hands one over through ``kubrick_register_flow_control``; without one the server only counts what
is in flight. Requests that run long are not asked about, but for watches, until they are under way.
"""

from collections.abc import Sequence
from typing import Protocol

from kubrick_apiserver.web import Request


class Ticket(Protocol):
    """One request's place. Nothing here raises, but for cancellation. `now` is trio's time."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """For its answer, whatever that will be."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether it may be served now. Asked only when it was just made."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Until it may be served: whether it may, within `seconds`. It has left when it may not, or when this is
        cancelled."""
        ...

    def leave(self, now: float) -> None:
        """It was answered, or failed. Whatever runs must leave; leaving twice does nothing."""
        ...

    def watch(self, change: int) -> None:
        """The watch it asked for is open (1), or closed (-1)."""
        ...


class FlowControl(Protocol):
    """Asked for every request, between authentication and authorization."""

    def enter(self, request: Request, now: float) -> Ticket:
        """A request comes. Unless its ticket is running, it has to wait."""
        ...
