"""NodeResourcesBalancedAllocation: prefers nodes whose resource use the pod would make more even."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl
from kubrick_scheduler import Plugin
from kubrick_scheduler_node_resources_balanced_allocation.settings import Settings

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    from kubrick_scheduler_node_resources_balanced_allocation.plugin import NodeResourcesBalancedAllocation

    settings = kernel.settings("scheduler-node-resources-balanced-allocation")
    return (NodeResourcesBalancedAllocation(settings),)
