"""The resources of apiregistration.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_apiregistration.names import API_SERVICES
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["API_SERVICES"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_apiregistration.group import groups

    return groups(kernel)
