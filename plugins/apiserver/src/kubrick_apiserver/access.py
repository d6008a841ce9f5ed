"""Whether a user may do something: the authorizers' verdicts in one, and a refusal in Kubernetes' words.

Used by the HTTP filters and by the in-process connector alike. Members of system:masters always may.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api.errors import StatusError, forbidden
from kubrick_api.names import GVR
from kubrick_api.storage import Call, UserInfo
from kubrick_apiserver.auth import Access, Authorizer, ResourceRules
from kubrick_apiserver.web import RequestInfo

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

MASTERS = "system:masters"
REMEMBERED = 4096
"""How many allowed requests are remembered."""
LOOPBACK = "system:apiserver"
"""The server's own identity. Only the in-process connector may hand it out, with `trusted`."""

ALWAYS_ALLOWED = frozenset(("/healthz", "/livez", "/readyz"))
"""Paths that need no permission, as kube-apiserver's --authorization-always-allow-paths has it."""

EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
EVERYWHERE = {"verbs": ["*"], "nonResourceURLs": ["*"]}
"""What masters may do, in rules."""

HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def trusted(user: UserInfo) -> UserInfo:
    """For the in-process connector: the server's own identity becomes a master, others stay as they are.
    A name alone never makes anybody a master over HTTPS."""
    if user.name != LOOPBACK or MASTERS in user.groups:
        return user
    return UserInfo(user.name, user.uid, (*user.groups, MASTERS), user.extra)


def access_of_call(call: Call, user: UserInfo) -> Access:
    """The question a call raises."""
    resource = call.resource
    return Access(
        user,
        call.verb,
        True,
        resource.group,
        resource.version,
        resource.resource,
        call.subresource,
        _namespace(resource.group, resource.resource, call.namespace, call.name),
        call.name,
    )


def _namespace(group: str, resource: str, namespace: str, name: str) -> str:
    """A namespace is in itself, as the URL of a single one has it."""
    return name if resource == "namespaces" and not group else namespace


def access_of_request(info: RequestInfo, user: UserInfo) -> Access:
    """The question an HTTP request raises."""
    if not info.resource_request:
        return Access(user, info.verb, False, path=info.path)
    return Access(
        user,
        info.verb,
        True,
        info.group,
        info.version,
        info.resource,
        info.subresource,
        info.namespace,
        info.name,
    )


class AccessControl:
    """All authorizers, asked in order: the first that allows or denies decides; nobody means no."""

    def __init__(self, authorizers: Sequence[Authorizer] = ()) -> None:
        self.authorizers = sorted(authorizers, key=lambda authorizer: (authorizer.order, authorizer.name))
        self._allowed: dict[tuple[int, int], tuple[RequestInfo, UserInfo, list[object]]] = {}
        """Requests that were allowed, by the identity of what is asked and who asks, with the authorizers' versions:
        clients ask for the same again and again, and both are kept by those who made them."""

    @classmethod
    def collect(cls, kernel: "Kernel") -> "AccessControl":
        """With the authorizers of all plugins."""
        answers = kernel.plugins.hook.kubrick_register_authorizers(kernel=kernel)
        return cls([authorizer for answer in answers for authorizer in answer])

    def authorize(self, access: Access) -> tuple[bool | None, str]:
        """(True: allowed, False: denied for good, None: nobody allowed it) and the reason."""
        if MASTERS in access.user.groups:
            return True, ""
        reasons = []
        for authorizer in self.authorizers:
            verdict, reason = authorizer.authorize(access)
            if verdict is not None:
                return verdict, reason
            if reason:
                reasons.append(reason)
        return None, "\n".join(reasons)

    def check(self, access: Access) -> None:
        """Raises StatusError 403 unless `access` is allowed."""
        if MASTERS in access.user.groups:
            return
        allowed, reason = self.authorize(access)
        if not allowed:
            raise refusal(access, reason)

    def check_request(self, info: RequestInfo, user: UserInfo) -> None:
        """`check` for an HTTP request."""
        key = id(info), id(user)
        known = self._allowed.get(key)
        versions = self._versions()
        if known is not None and known[0] is info and known[1] is user and known[2] == versions:
            return
        if MASTERS in user.groups or (not info.resource_request and info.path in ALWAYS_ALLOWED):
            return
        self.check(access_of_request(info, user))
        if versions is not None:
            if len(self._allowed) >= REMEMBERED:
                self._allowed.clear()
            self._allowed[key] = info, user, versions

    def _versions(self) -> list[object] | None:
        """What the verdicts of all authorizers rest on; None when one of them can't say."""
        versions: list[object] = []
        for authorizer in self.authorizers:
            version = getattr(authorizer, "version", None)
            if version is None:
                return None
            versions.append(version())
        return versions

    def rules(self, user: UserInfo, namespace: str) -> ResourceRules:
        """What `user` may do in `namespace`, as far as rules can say it."""
        answer = ResourceRules([], [])
        errors = []
        for authorizer in self.authorizers:
            rules = authorizer.rules(user, namespace)
            answer.resource_rules += rules.resource_rules
            answer.non_resource_rules += rules.non_resource_rules
            answer.incomplete = answer.incomplete or rules.incomplete
            if rules.error:
                errors.append(rules.error)
        answer.error = "\n".join(errors)
        if MASTERS in user.groups:
            # Once: RBAC's default roles say the same.
            if EVERYTHING not in answer.resource_rules:
                answer.resource_rules.insert(0, dict(EVERYTHING))
            if EVERYWHERE not in answer.non_resource_rules:
                answer.non_resource_rules.insert(0, dict(EVERYWHERE))
        return answer


def refusal(access: Access, reason: str = "") -> StatusError:
    """403 as kube-apiserver words it."""
    user = access.user.name
    if not access.resource_request:
        message = f'User "{user}" cannot {access.verb} path "{access.path}"'
    else:
        resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
        where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
        message = f'User "{user}" cannot {access.verb} resource "{resource}" in API group "{access.group}" {where}'
    message = message.translate(HTML)
    if reason:
        message += f": {reason}"
    if not access.resource_request:
        return StatusError(403, "Forbidden", f"forbidden: {message}", {})
    return forbidden(GVR(access.group, access.version, access.resource), access.name, message)
