"""The node agent's extension point: kinds of volumes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kubrick_kernel import Kernel
    from kubrick_node.volumes import VolumePlugin

hookspec = pluggy.HookspecMarker("kubrick")


@hookspec
def kubrick_register_volumes(kernel: "Kernel") -> "Sequence[VolumePlugin]":
    """Kinds of volumes of this brick (see `kubrick_node.volumes.contract`). Asked when the node starts; a kind that
    the agent has itself is taken over by whoever answers here."""
    return ()
