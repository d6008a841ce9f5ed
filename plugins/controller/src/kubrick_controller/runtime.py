"""The component that runs controllers.

It asks the bricks for their controllers when it starts (so a restart begins with fresh ones), gives
each a queue, a recorder and a client that speaks as its own service account, lets each name the
informers it wants (one per resource for the whole process, as kube-controller-manager's identity),
waits until those have synced, and then feeds keys to workers. A reconcile that raises is retried
with backoff and never touches another; one that is under way when the program stops may finish.
"""

from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_client import Client, EventRecorder, Informer, ShutDown, Unreachable, WorkQueue, connect
from kubrick_controller.contract import Controller
from kubrick_controller.metrics import QueueMetrics, Reconciles
from kubrick_kernel.clock import Clock
from kubrick_kernel.log import get_logger

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

INFORMER_USER = "system:kube-controller-manager"
DRAIN_SECONDS = 5.0
log = get_logger("controller")


class SharedInformers:
    """One informer per resource."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.informers: dict[GVR, Informer] = {}

    def get(self, resource: GVR) -> Informer:
        informer = self.informers.get(resource)
        if informer is None:
            informer = self.informers[resource] = Informer(self.client, resource)
        return informer


@define(eq=False)
class RunningController:
    """One controller and what the runtime gave it. It is the `Context` its `setup` gets."""

    controller: Controller
    plugin: str
    kernel: "Kernel"
    client: Client
    recorder: EventRecorder
    queue: WorkQueue
    informers: SharedInformers
    clock: Clock
    reconciles: Reconciles = field(factory=Reconciles)
    under_way: set[trio.CancelScope] = field(factory=set)

    def informer(self, resource: GVR) -> Informer:
        return self.informers.get(resource)

    def settings(self) -> Any:
        try:
            return self.kernel.settings(self.plugin)
        except LookupError:
            return None

    async def work(self) -> None:
        """One worker: keys until cancelled, which takes effect between two reconciles."""
        while True:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            with trio.CancelScope(shield=True) as scope:
                self.under_way.add(scope)
                try:
                    await self._reconcile(key)
                finally:
                    self.under_way.discard(scope)
                    self.queue.done(key)

    def stop(self, deadline: float) -> None:
        """Take no more keys; what is under way has until `deadline`."""
        self.queue.shut_down()
        for scope in self.under_way:
            scope.deadline = deadline

    async def _reconcile(self, key: str) -> None:
        name = self.controller.name
        try:
            await self.controller.reconcile(key)
        except StatusError as error:
            if error.code in (404, 409):
                log.debug("will retry", controller=name, key=key, error=str(error))
                self.reconciles.requeued += 1
            else:
                log.warning("reconcile refused, will retry", controller=name, key=key, error=str(error))
                self.reconciles.failed += 1
        except Unreachable as error:
            log.info("no API server, will retry", controller=name, key=key, error=str(error))
            self.reconciles.failed += 1
        except Exception as error:
            log.error("reconcile failed, will retry", controller=name, key=key, exc_info=error)
            self.reconciles.panicked += 1
        else:
            self.reconciles.succeeded += 1
            self.queue.forget(key)
            return
        self.queue.add_rate_limited(key)


class Controllers:
    """The component "controllers"."""

    name = "controllers"
    requires = ("apiserver?",)

    def __init__(self, kernel: "Kernel") -> None:
        self.kernel = kernel
        self.running: list[RunningController] = []
        self.metrics = QueueMetrics()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        shared = SharedInformers(connect(self.kernel, INFORMER_USER))
        self.running = [self._prepare(controller, plugin, shared) for plugin, controller in self._controllers()]
        self.metrics.running = self.running
        try:
            async with trio.open_nursery() as nursery:
                await self._start(nursery, shared)
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    for running in self.running:
                        running.stop(trio.current_time() + DRAIN_SECONDS)
        finally:
            self.metrics.running = ()
            await self._close(shared)

    def _controllers(self) -> list[tuple[str, Controller]]:
        """Every registered controller with the plugin it came from, by name."""
        found: list[tuple[str, Controller]] = []
        for plugin, register in self.kernel.plugins.implementers("kubrick_register_controllers"):
            found += [(plugin, controller) for controller in register(self.kernel)]
        return sorted(found, key=lambda pair: pair[1].name)

    def _prepare(self, controller: Controller, plugin: str, shared: SharedInformers) -> RunningController:
        account = getattr(controller, "service_account", controller.name)
        client = connect(self.kernel, f"system:serviceaccount:kube-system:{account}")
        recorder = EventRecorder(client, controller.name)
        running = RunningController(
            controller, plugin, self.kernel, client, recorder, WorkQueue(controller.name), shared, self.kernel.clock
        )
        controller.setup(running)
        return running

    async def _start(self, nursery: trio.Nursery, shared: SharedInformers) -> None:
        async with trio.open_nursery() as syncing:
            for informer in shared.informers.values():
                syncing.start_soon(nursery.start, informer.run)
        for running in self.running:
            nursery.start_soon(running.recorder.run)
            for _ in range(running.controller.workers):
                nursery.start_soon(running.work)

    async def _close(self, shared: SharedInformers) -> None:
        with trio.move_on_after(DRAIN_SECONDS, shield=True):
            for client in [shared.client, *(running.client for running in self.running)]:
                await client.aclose()
