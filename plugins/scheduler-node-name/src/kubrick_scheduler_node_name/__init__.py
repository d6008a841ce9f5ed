"""NodeName: a pod that names a node in its spec fits only there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl
from kubrick_scheduler import Plugin

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    from kubrick_scheduler_node_name.plugin import NodeName

    return (NodeName(),)
