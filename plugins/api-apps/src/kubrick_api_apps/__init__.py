"""The resources of apps/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_apps.names import CONTROLLER_REVISIONS, DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["CONTROLLER_REVISIONS", "DAEMON_SETS", "DEPLOYMENTS", "REPLICA_SETS", "STATEFUL_SETS"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_apps.group import groups

    return groups(kernel)
