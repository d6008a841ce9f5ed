"""The resources of flowcontrol.apiserver.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_flowcontrol.names import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["FLOW_SCHEMAS", "PRIORITY_LEVEL_CONFIGURATIONS"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_flowcontrol.group import groups

    return groups(kernel)
