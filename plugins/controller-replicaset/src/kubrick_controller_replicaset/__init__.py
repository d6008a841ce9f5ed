"""The replicaset controller: keeps as many pods of a template as a ReplicaSet asks for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_controller import Controller
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_controllers(kernel: "Kernel") -> "Sequence[Controller]":
    from kubrick_controller_replicaset.controller import ReplicaSetController

    return [ReplicaSetController()]
