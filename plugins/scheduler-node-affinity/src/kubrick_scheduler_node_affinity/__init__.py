"""NodeAffinity: spec.nodeSelector and spec.affinity.nodeAffinity, required and preferred."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl
from kubrick_scheduler import Plugin
from kubrick_scheduler_node_affinity.settings import Settings

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    from kubrick_scheduler_node_affinity.plugin import NodeAffinity

    return (NodeAffinity(kernel.settings("scheduler-node-affinity")),)
