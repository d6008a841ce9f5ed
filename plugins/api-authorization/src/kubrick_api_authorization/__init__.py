"""The resources of authorization.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_authorization.names import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
)
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = [
    "LOCAL_SUBJECT_ACCESS_REVIEWS",
    "SELF_SUBJECT_ACCESS_REVIEWS",
    "SELF_SUBJECT_RULES_REVIEWS",
    "SUBJECT_ACCESS_REVIEWS",
]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_authorization.group import groups

    return groups(kernel)
