"""The resources of authentication.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_authentication.names import SELF_SUBJECT_REVIEWS, TOKEN_REVIEWS
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["SELF_SUBJECT_REVIEWS", "TOKEN_REVIEWS"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_authentication.group import groups

    return groups(kernel)
