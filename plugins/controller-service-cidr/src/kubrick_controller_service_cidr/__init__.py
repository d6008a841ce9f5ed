"""Ranges of service addresses are marked ready, and kept while there are addresses that only they hold."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_controller import Controller
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_controllers(kernel: "Kernel") -> "Sequence[Controller]":
    from kubrick_controller_service_cidr.controller import ServiceCIDRController

    return [ServiceCIDRController()]
