"""What this brick serves."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_certificates.requests import ApprovalStrategy, SigningRequestStrategy

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    parts = Parts(
        strategies={"certificatesigningrequests": SigningRequestStrategy()},
        views={"certificatesigningrequests/approval": ApprovalStrategy()},
    )
    return load_groups("kubrick_api_certificates", parts)
