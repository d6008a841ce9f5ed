"""The scheduler's extension point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kubrick_kernel import Kernel
    from kubrick_scheduler.contract import Plugin

hookspec = pluggy.HookspecMarker("kubrick")


@hookspec
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> "Sequence[Plugin]":
    """Scheduler plugins of this brick (see `kubrick_scheduler.contract`). Asked each time the scheduler
    starts, so return new objects; numpy may be imported from here on, not before."""
    return ()
