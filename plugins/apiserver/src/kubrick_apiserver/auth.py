"""The contracts of authentication and authorization."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from attrs import define, field, frozen

from kubrick_api.storage import UserInfo


@frozen
class Credentials:
    """What a request brings: the Authorization header (or ""), and the client certificate in DER if
    the TLS handshake verified one against the cluster's client CA."""

    authorization: str = ""
    certificate: bytes | None = None
    headers: Mapping[str, str] = field(factory=dict)


class Authenticator(Protocol):
    """One way to know who is asking. `order` sorts them: x509 10, token file 20, service account 30."""

    name: str
    order: int

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        """The user, or None when these are not credentials of this kind (the next one is asked).
        Raises StatusError (401) when they are but don't hold."""
        ...


@runtime_checkable
class AudienceAuthenticator(Authenticator, Protocol):
    """One whose tokens are for somebody in particular: TokenReview asks it for whom. `audiences` are this server's
    own names, and so what tokens that say nothing of audiences are good for."""

    audiences: Sequence[str]

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[UserInfo, Sequence[str]] | None:
        """The user and those of `audiences` (empty: this server's own) the token is for, at least one; None
        when it isn't a token of this kind. Raises StatusError (401) when it is but doesn't hold."""
        ...


@frozen
class Access:
    """A question to the authorizers. Either a resource request (`resource` True: group, resource,
    subresource, namespace, name) or a path."""

    user: UserInfo
    verb: str
    resource_request: bool = True
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@define
class ResourceRules:
    """What a user may do in a namespace, in the shape of SelfSubjectRulesReview's status."""

    resource_rules: list[dict[str, Any]]
    non_resource_rules: list[dict[str, Any]]
    incomplete: bool = False
    error: str = ""


class Authorizer(Protocol):
    """One way to decide. Synchronous: it must answer from memory. Sorted by `order` (Node 10, RBAC 20).

    It may also have a method ``version()``, whose answer differs from before whenever a verdict may: as long as all
    authorizers' stay the same, what was allowed is not asked again."""

    name: str
    order: int

    def authorize(self, access: Access) -> tuple[bool | None, str]:
        """(True: allowed, False: denied for good, None: no opinion) and a reason ("" if none)."""
        ...

    def rules(self, user: UserInfo, namespace: str) -> ResourceRules:
        """Everything `user` may do in `namespace`."""
        ...
