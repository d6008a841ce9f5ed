"""The resources of autoscaling/v1 and v2."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_autoscaling.names import HORIZONTAL_POD_AUTOSCALERS, HORIZONTAL_POD_AUTOSCALERS_V1
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["HORIZONTAL_POD_AUTOSCALERS", "HORIZONTAL_POD_AUTOSCALERS_V1"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_autoscaling.group import groups

    return groups(kernel)
