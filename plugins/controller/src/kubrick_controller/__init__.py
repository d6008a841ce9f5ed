"""The controller runtime: runs every registered controller, with shared informers.

A controller brick answers `kubrick_register_controllers` with objects that follow `Controller`
(`kubrick_controller.contract`); the component ``controllers`` does the rest.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from kubrick_controller import hookspecs
from kubrick_controller.contract import Context, Controller, Queue
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_kernel import Component, Kernel

__all__ = ["Context", "Controller", "Queue"]


@hookimpl
def kubrick_add_hookspecs(manager: pluggy.PluginManager) -> None:
    manager.add_hookspecs(hookspecs)


@hookimpl
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    from kubrick_controller.metrics import QueueMetrics
    from kubrick_controller.runtime import Controllers

    controllers = Controllers(kernel)
    kernel.offer(QueueMetrics, controllers.metrics)
    return [controllers]


@hookimpl(optionalhook=True)
def kubrick_register_collectors(kernel: "Kernel") -> Sequence[Any]:
    """For the /metrics of an API server in this process."""
    from kubrick_controller.metrics import QueueMetrics

    return [kernel.find(QueueMetrics)]
