"""The resources of apiextensions.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_apiextensions.names import CUSTOM_RESOURCE_DEFINITIONS
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["CUSTOM_RESOURCE_DEFINITIONS"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_apiextensions.group import groups

    return groups(kernel)
