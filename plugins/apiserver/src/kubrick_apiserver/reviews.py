"""Answers for the review kinds: SubjectAccessReview and its kin, TokenReview.

Their API groups say what they need in contracts of their own; this is the server's authentication and
access control in those terms.
"""

from collections.abc import Sequence

from kubrick_api.storage import UserInfo
from kubrick_api_authorization.contract import Question, Rules
from kubrick_apiserver.access import AccessControl
from kubrick_apiserver.auth import Access
from kubrick_apiserver.authentication import Authentication


class AccessReviews:
    """`kubrick_api_authorization.contract.Authorization`."""

    def __init__(self, control: AccessControl) -> None:
        self._control = control

    def authorize(self, question: Question) -> tuple[bool, bool, str]:
        """(allowed, denied, reason)."""
        verdict, reason = self._control.authorize(
            Access(
                question.user,
                question.verb,
                not question.path,
                question.group,
                question.version,
                question.resource,
                question.subresource,
                question.namespace,
                question.name,
                question.path,
            )
        )
        return verdict is True, verdict is False, reason

    def rules(self, user: UserInfo, namespace: str) -> Rules:
        """Everything `user` may do in `namespace`."""
        rules = self._control.rules(user, namespace)
        return Rules(rules.resource_rules, rules.non_resource_rules, rules.incomplete, rules.error)


class TokenReviews:
    """`kubrick_api_authentication.contract.Authentication`."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[UserInfo | None, Sequence[str]]:
        """Whose token this is."""
        return await self._authentication.review(token, audiences)
