"""The deployment controller: moves a Deployment's pods from one template to the next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_controller import Controller
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_controllers(kernel: "Kernel") -> "Sequence[Controller]":
    from kubrick_controller_deployment.controller import DeploymentController

    return [DeploymentController()]
