"""Who is asking: the authenticators in order, anonymous when nobody claims the credentials, and the
impersonation of others by those who may.

A bearer token that no authenticator knows is refused (401): only a request without one is anonymous.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from attrs import evolve

from kubrick_api.errors import StatusError, unauthorized
from kubrick_api.storage import UserInfo
from kubrick_apiserver.access import AccessControl
from kubrick_apiserver.auth import Access, AudienceAuthenticator, Authenticator, Credentials
from kubrick_apiserver.web import ANONYMOUS, Request

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
SERVICE_ACCOUNT = "system:serviceaccount:"
AUTHENTICATION_GROUP = "authentication.k8s.io"
EXTRA = "impersonate-extra-"
REMEMBERED = 4096


class Authentication:
    """All authenticators as one."""

    def __init__(self, authenticators: Sequence[Authenticator] = ()) -> None:
        self.authenticators = sorted(authenticators, key=lambda each: (each.order, each.name))
        self._members: dict[int, tuple[UserInfo, UserInfo]] = {}
        """By identity of what an authenticator returned: that, and the same user in system:authenticated."""

    @classmethod
    def collect(cls, kernel: "Kernel") -> "Authentication":
        """With the authenticators of all plugins."""
        answers = kernel.plugins.hook.kubrick_register_authenticators(kernel=kernel)
        return cls([authenticator for answer in answers for authenticator in answer])

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        """The user these credentials stand for, as a member of system:authenticated; None when no
        authenticator knows them. Raises StatusError 401 when one refuses them."""
        for authenticator in self.authenticators:
            user = await authenticator.authenticate(credentials)
            if user is not None:
                known = self._members.get(id(user))
                return known[1] if known is not None and known[0] is user else self._member(user)
        return None

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[UserInfo | None, Sequence[str]]:
        """Whose token this is, and for which of `audiences` (none: this server's own). A token that says nothing of
        audiences is for this server. Raises StatusError 401 when an authenticator refuses it."""
        credentials = Credentials(f"Bearer {token}")
        aware = [each for each in self.authenticators if isinstance(each, AudienceAuthenticator)]
        own = [audience for each in aware for audience in each.audiences]
        held = [each for each in audiences or own if each in own] if own else audiences
        for authenticator in self.authenticators:
            if isinstance(authenticator, AudienceAuthenticator):
                found = await authenticator.review(token, audiences)
                if found is not None:
                    return self._member(found[0]), found[1]
            elif (user := await authenticator.authenticate(credentials)) is not None:
                return (self._member(user), held) if held or not own else (None, ())
        return None, ()

    def _member(self, user: UserInfo) -> UserInfo:
        """`user` as a member of system:authenticated; remembered, for authenticators that return the same
        object again."""
        if AUTHENTICATED in user.groups or user.name == ANONYMOUS.name:
            return user
        if len(self._members) >= REMEMBERED:
            self._members.clear()
        member = evolve(user, groups=(*user.groups, AUTHENTICATED))
        self._members[id(user)] = user, member
        return member

    async def identify(self, credentials: Credentials) -> UserInfo:
        """The user of a request, anonymous if need be."""
        user = await self.authenticate(credentials)
        if user is not None:
            return user
        if is_bearer(credentials.authorization):
            raise unauthorized()
        return ANONYMOUS


def is_bearer(authorization: str) -> bool:
    """Whether an Authorization header carries a token."""
    scheme, _, token = authorization.strip().partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def is_impersonating(headers: Mapping[str, str]) -> bool:
    """Whether a request asks to be treated as somebody else's."""
    for name in headers:  # noqa: SIM110  # on the way of every request; any() takes four times as long
        if name.startswith("impersonate-"):
            return True
    return False


def impersonate(request: Request, control: AccessControl) -> None:
    """Make `request` that of the user its Impersonate-* headers name, if its real user may, and take the
    headers off. Raises StatusError: 403, or 500 for headers that make no sense (as kube-apiserver does)."""
    headers, lists = request.headers, request.header_lists

    def values(name: str) -> tuple[str, ...]:
        return lists.get(name) or ((headers[name],) if headers.get(name) else ())

    name = headers.get("impersonate-user", "")
    uid = headers.get("impersonate-uid", "")
    groups = values("impersonate-group")
    extra = {
        unquote(header.removeprefix(EXTRA)).lower(): values(header) for header in headers if header.startswith(EXTRA)
    }
    request.headers = {header: value for header, value in headers.items() if not header.startswith("impersonate-")}
    if not name:
        if uid or groups or extra:
            raise StatusError(
                500, "InternalError", "Internal error occurred: impersonation without impersonating a user"
            )
        return
    _check_impersonation(request.user, name, uid, groups, extra, control)
    request.user = impersonated(name, uid, groups, extra)


def _check_impersonation(
    asker: UserInfo,
    name: str,
    uid: str,
    groups: tuple[str, ...],
    extra: Mapping[str, tuple[str, ...]],
    control: AccessControl,
) -> None:
    """One question per thing that is claimed."""
    account = _service_account(name)
    if account:
        namespace, account_name = account
        control.check(Access(asker, "impersonate", True, "", "v1", "serviceaccounts", "", namespace, account_name))
    else:
        control.check(Access(asker, "impersonate", True, "", "v1", "users", name=name))
    for group in groups:
        control.check(Access(asker, "impersonate", True, "", "v1", "groups", name=group))
    for key, values in extra.items():
        for value in values:
            control.check(Access(asker, "impersonate", True, AUTHENTICATION_GROUP, "v1", "userextras", key, name=value))
    if uid:
        control.check(Access(asker, "impersonate", True, AUTHENTICATION_GROUP, "v1", "uids", name=uid))


def _service_account(name: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name."""
    if not name.startswith(SERVICE_ACCOUNT):
        return None
    namespace, _, account = name.removeprefix(SERVICE_ACCOUNT).partition(":")
    return (namespace, account) if namespace and account and ":" not in account else None


def impersonated(name: str, uid: str, groups: tuple[str, ...], extra: Mapping[str, tuple[str, ...]]) -> UserInfo:
    """The user somebody speaks as, in the groups that follow from the name."""
    account = _service_account(name)
    if account and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    implied = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    if implied not in groups:
        groups = (*groups, implied)
    return UserInfo(name, uid, groups, dict(extra))
