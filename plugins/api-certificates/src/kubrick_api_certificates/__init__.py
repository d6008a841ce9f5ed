"""The resources of certificates.k8s.io/v1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_certificates.names import CERTIFICATE_SIGNING_REQUESTS
from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    from kubrick_api.resource import APIGroup
    from kubrick_kernel import Kernel

__all__ = ["CERTIFICATE_SIGNING_REQUESTS"]


@hookimpl
def kubrick_register_api_groups(kernel: "Kernel") -> "Sequence[APIGroup]":
    from kubrick_api_certificates.group import groups

    return groups(kernel)
