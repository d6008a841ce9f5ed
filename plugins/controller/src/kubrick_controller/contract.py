"""The controller contract: which keys to reconcile, and how.

A controller declares in `setup` which objects it looks at and which keys their changes concern, and
then reconciles one key at a time: a pure plan (desired and actual in, actions out), a thin apply.
"""

from typing import Any, Protocol

from kubrick_api.names import GVR
from kubrick_client import Client, EventRecorder, Informer
from kubrick_kernel.clock import Clock


class Queue(Protocol):
    """The controller's own work queue: deduplicated, rate limited, one worker per key at a time."""

    def add(self, key: str, priority: int = 0) -> None: ...

    def add_after(self, key: str, seconds: float) -> None: ...

    def add_rate_limited(self, key: str) -> None: ...

    def forget(self, key: str) -> None: ...


class Context(Protocol):
    """What the runtime gives a controller."""

    @property
    def client(self) -> Client:
        """Speaks as ``system:serviceaccount:kube-system:<controller.name>``."""
        ...

    @property
    def recorder(self) -> EventRecorder:
        """Writes events with the controller's name as their source."""
        ...

    @property
    def queue(self) -> Queue: ...

    @property
    def clock(self) -> Clock: ...

    def informer(self, resource: GVR) -> Informer:
        """The process's shared informer of a resource; synced before the first reconcile. Call in
        `setup` only."""
        ...

    def settings(self) -> Any:
        """The plugin's settings object, or None."""
        ...


class Controller(Protocol):
    """One control loop. `name` is its service account ("deployment-controller"; a controller that shares
    another's role says whose in an attribute `service_account`), `workers` how many keys it reconciles at once."""

    name: str
    workers: int

    def setup(self, context: Context) -> None:
        """Called once, before informers run: register handlers that call ``context.queue.add``."""
        ...

    async def reconcile(self, key: str) -> None:
        """Bring the object `key` ("namespace/name", or "name") in line. Return normally when done
        (the key's backoff is forgotten); raise to be called again after a backoff (5 ms doubling to
        1000 s). A StatusError 409 or 404 is retried quietly; others are logged."""
        ...
