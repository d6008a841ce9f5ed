"""The resources of resource.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_resource.names import DEVICE_CLASSES, RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS, RESOURCE_SLICES
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["DEVICE_CLASSES", "RESOURCE_CLAIMS", "RESOURCE_CLAIM_TEMPLATES", "RESOURCE_SLICES"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_resource.group import groups

    return groups(kernel)
