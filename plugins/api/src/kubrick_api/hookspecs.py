"""The extension point of the object machinery."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

hookspec = pluggy.HookspecMarker("kubrick")


@hookspec
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    """The API group-versions this brick serves."""
    return ()
