"""What this brick serves: four reviews, none of them stored."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_authorization.reviews import AccessReview, RulesReview

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    parts = Parts(
        handlers={
            "localsubjectaccessreviews": AccessReview(kernel, "LocalSubjectAccessReview", local=True),
            "selfsubjectaccessreviews": AccessReview(kernel, "SelfSubjectAccessReview", own=True),
            "selfsubjectrulesreviews": RulesReview(kernel),
            "subjectaccessreviews": AccessReview(kernel, "SubjectAccessReview"),
        }
    )
    return load_groups("kubrick_api_authorization", parts)
