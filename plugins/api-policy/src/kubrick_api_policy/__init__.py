"""The resources of policy/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_policy.names import POD_DISRUPTION_BUDGETS
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["POD_DISRUPTION_BUDGETS"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_policy.group import groups

    return groups(kernel)
