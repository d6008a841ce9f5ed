"""What this brick serves: two reviews, neither of them stored."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_authentication.reviews import TokenReview, review_self

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    parts = Parts(handlers={"selfsubjectreviews": review_self, "tokenreviews": TokenReview(kernel)})
    return load_groups("kubrick_api_authentication", parts)
