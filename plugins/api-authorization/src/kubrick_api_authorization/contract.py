"""The contract between reviews and whoever decides: the API server offers an `Authorization`."""

from typing import Any, Protocol

from attrs import define, frozen

from kubrick_api.storage import UserInfo


@frozen
class Question:
    """May `user` do this? Either a resource request or, when `path` is set, a request to that path."""

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@define
class Rules:
    """What a user may do, in the shape of SelfSubjectRulesReview's status."""

    resource_rules: list[dict[str, Any]]
    non_resource_rules: list[dict[str, Any]]
    incomplete: bool = False
    error: str = ""


class Authorization(Protocol):
    """Decides from memory. Offered with ``kernel.offer(Authorization, ...)``."""

    def authorize(self, question: Question) -> tuple[bool, bool, str]:
        """(allowed, denied for good, reason). Neither allowed nor denied: nobody had an opinion."""
        ...

    def rules(self, user: UserInfo, namespace: str) -> Rules:
        """Everything `user` may do in `namespace`."""
        ...
