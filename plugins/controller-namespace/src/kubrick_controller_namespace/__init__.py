"""The namespace controller: empties a namespace that is being deleted, then lets it go."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_controller import Controller
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_controllers(kernel: "Kernel") -> "Sequence[Controller]":
    from kubrick_api.catalog import Catalog
    from kubrick_controller_namespace.controller import NamespaceController

    return [NamespaceController(kernel.find(Catalog))]
