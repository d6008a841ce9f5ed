"""Who may ask the agent what: a client certificate or a bearer token, and the cluster's own rules.

As the kubelet's webhook mode: a token is shown to the API server (TokenReview), and every request becomes
a question to it (SubjectAccessReview) about a subresource of this node. Answers are remembered a while.
"""

from typing import Any

import trio

from kubrick_api.errors import StatusError, unauthorized
from kubrick_api.names import GVR
from kubrick_api.storage import UserInfo
from kubrick_client import Client, Unreachable
from kubrick_http import der

Object = dict[str, Any]
TOKEN_REVIEWS = GVR("authentication.k8s.io", "v1", "tokenreviews")
ACCESS_REVIEWS = GVR("authorization.k8s.io", "v1", "subjectaccessreviews")
MASTERS = "system:masters"
TOKEN_SECONDS = 120.0
ALLOWED_SECONDS = 300.0
DENIED_SECONDS = 30.0
REMEMBERED = 1024
VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
SUBRESOURCES = {
    "stats": "stats",
    "metrics": "metrics",
    "logs": "log",
    "spec": "spec",
    "checkpoint": "checkpoint",
    "pods": "pods",
    "runningpods": "pods",
    "healthz": "healthz",
    "livez": "healthz",
    "readyz": "healthz",
    "configz": "configz",
}
"""By the first part of the path; all else is the node's "proxy"."""


class AgentAccess:
    """One node's door."""

    def __init__(self, node: str, client: Client) -> None:
        self._node = node
        self._client = client
        self._users: dict[str, tuple[UserInfo | None, float]] = {}
        self._verdicts: dict[tuple[Any, ...], tuple[bool, str, float]] = {}

    async def check(self, certificate: bytes | None, authorization: str, method: str, path: str) -> UserInfo:
        """The user of a request. Raises StatusError 401 or 403."""
        user = await self._identify(certificate, authorization)
        if MASTERS in user.groups:
            return user
        verb = VERBS.get(method, method.lower())
        first = path.strip("/").partition("/")[0]
        subresource = SUBRESOURCES.get(first, "proxy")
        allowed, reason = await self._allowed(user, verb, subresource)
        if not allowed and subresource not in ("proxy", "stats", "metrics", "log", "spec", "checkpoint"):
            # The fine-grained subresources are a relaxation (KEP-2862): "proxy" still covers them.
            subresource = "proxy"
            allowed, reason = await self._allowed(user, verb, subresource)
        if not allowed:
            text = f"Forbidden (user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{subresource}])"
            raise StatusError(403, "Forbidden", f"{text}: {reason}" if reason else text)
        return user

    async def _identify(self, certificate: bytes | None, authorization: str) -> UserInfo:
        if certificate is not None:
            parsed = der.parse(certificate)
            names = parsed.attribute(der.COMMON_NAME)
            if names:
                groups = (*parsed.attribute(der.ORGANIZATION), "system:authenticated")
                return UserInfo(names[-1], groups=groups)
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized()
        user = await self._user_of(token.strip())
        if user is None:
            raise unauthorized()
        return user

    async def _user_of(self, token: str) -> UserInfo | None:
        now = trio.current_time()
        known = self._users.get(token)
        if known is not None and known[1] > now:
            return known[0]
        answer = await self._ask(TOKEN_REVIEWS, {"kind": "TokenReview", "spec": {"token": token}})
        status = answer.get("status") or {}
        user = None
        if status.get("authenticated"):
            found = status["user"]
            extra = {key: tuple(values) for key, values in (found.get("extra") or {}).items()}
            user = UserInfo(found["username"], found.get("uid", ""), tuple(found.get("groups") or ()), extra)
        if len(self._users) >= REMEMBERED:
            self._users.clear()
        self._users[token] = user, now + TOKEN_SECONDS
        return user

    async def _allowed(self, user: UserInfo, verb: str, subresource: str) -> tuple[bool, str]:
        now = trio.current_time()
        question = (user.name, user.uid, user.groups, verb, subresource)
        known = self._verdicts.get(question)
        if known is not None and known[2] > now:
            return known[0], known[1]
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()},
            "resourceAttributes": {
                "verb": verb,
                "version": "v1",
                "resource": "nodes",
                "subresource": subresource,
                "name": self._node,
            },
        }
        answer = await self._ask(ACCESS_REVIEWS, {"kind": "SubjectAccessReview", "spec": spec})
        status = answer.get("status") or {}
        allowed, reason = bool(status.get("allowed")), status.get("reason", "")
        if len(self._verdicts) >= REMEMBERED:
            self._verdicts.clear()
        self._verdicts[question] = allowed, reason, now + (ALLOWED_SECONDS if allowed else DENIED_SECONDS)
        return allowed, reason

    async def _ask(self, gvr: GVR, review: Object) -> Object:
        """Raises StatusError 500 when the API server doesn't answer: nobody is let in on a guess."""
        try:
            return await self._client.create(gvr, {"apiVersion": gvr.root.removeprefix("/apis/"), **review})
        except (StatusError, Unreachable) as error:
            raise StatusError(500, "InternalError", f"cannot ask the API server: {error}") from None
