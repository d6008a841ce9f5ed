"""The resources of batch/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_batch.names import CRON_JOBS, JOBS
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["CRON_JOBS", "JOBS"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_batch.group import groups

    return groups(kernel)
