"""The scheduler as a component of the kernel. Light: numpy and the rest come when it runs."""

import importlib
import sys
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from kubrick_scheduler.decision import Decisions
from kubrick_scheduler.metrics import Metrics

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

IDENTITY = "system:kube-scheduler"


@define(eq=False)
class SchedulerComponent:
    """Runs the scheduler; everything it knows is read anew from the API when it is restarted."""

    kernel: "Kernel"
    decisions: Decisions
    metrics: Metrics
    name: str = field(default="scheduler", init=False)
    requires: tuple[str, ...] = field(default=("apiserver?",), init=False)

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        if "numpy" not in sys.modules:
            # It takes longer than all the rest of the start: let others go on meanwhile.
            await trio.to_thread.run_sync(importlib.import_module, "numpy")
        from kubrick_client import connect
        from kubrick_scheduler.run import Scheduler

        plugins = [
            p
            for found in self.kernel.plugins.hook.kubrick_register_scheduler_plugins(kernel=self.kernel)
            for p in found
        ]
        client = connect(self.kernel, IDENTITY)
        try:
            scheduler = Scheduler(
                self.kernel, client, self.kernel.settings("scheduler"), plugins, self.decisions, self.metrics
            )
            await scheduler.run(task_status)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await client.aclose()
