"""The controller runtime's extension point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kubrick_controller.contract import Controller
    from kubrick_kernel import Kernel

hookspec = pluggy.HookspecMarker("kubrick")


@hookspec
def kubrick_register_controllers(kernel: "Kernel") -> "Sequence[Controller]":
    """Controllers of this brick. A brick may also run loops without a queue as kernel components."""
    return ()
