"""The extension point of networking: CNI plugins."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kubrick_kernel import Kernel
    from kubrick_network.contract import CNIPlugin

hookspec = pluggy.HookspecMarker("kubrick")


@hookspec
def kubrick_register_cni(kernel: "Kernel") -> "Sequence[CNIPlugin]":
    """CNI plugins of this brick (see `kubrick_network.contract`). Asked each time the network starts;
    pyroute2 may be imported from here on, not before."""
    return ()
