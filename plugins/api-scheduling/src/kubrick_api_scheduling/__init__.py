"""The resources of scheduling.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_scheduling.names import PRIORITY_CLASSES
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["PRIORITY_CLASSES"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_scheduling.group import groups

    return groups(kernel)
