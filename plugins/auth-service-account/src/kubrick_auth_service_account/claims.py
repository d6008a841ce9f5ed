"""What a service account's token says, and whether it still holds. Pure.

The claims are Kubernetes' (pkg/serviceaccount/claims.go): the audience, the times, the account, and the
objects the token lives with. A token that a kubelet asked for in a pod's volume (3607 seconds, the
server's own audience) is in truth good for a year and says after when it should have been replaced: old
client libraries that read their token once go on working.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from kubrick_api.names import GVR
from kubrick_api.storage import Reader, UserInfo
from kubrick_api_core import NODES, PODS, SECRETS, SERVICE_ACCOUNTS

Object = dict[str, Any]

PRIVATE = "kubernetes.io"
WARN_ONLY_SECONDS = 3607
EXTENDED_SECONDS = 365 * 24 * 3600
LEEWAY = 60
"""Seconds for which a deleted account's or pod's tokens go on working, for an orderly end."""
EXTRA = "authentication.kubernetes.io/"


class Refused(Exception):
    """The token is one of ours and does not hold."""


@frozen
class Term:
    """How long a token lasts: `seconds` in truth, `told` as its owner is told, `warn_after` if that differs."""

    seconds: int
    told: int
    warn_after: int | None = None


def term(seconds: int, own_audience: bool, bound: tuple[GVR, Object] | None, extend: bool) -> Term:
    """The 3607 s rule."""
    if extend and seconds == WARN_ONLY_SECONDS and own_audience and bound is not None and bound[0] == PODS:
        return Term(EXTENDED_SECONDS, seconds, seconds)
    return Term(seconds, seconds)


def make(
    account: Object,
    audiences: Sequence[str],
    issuer: str,
    token_id: str,
    now: int,
    lasts: Term,
    bound: tuple[GVR, Object] | None,
    node: Object | None,
) -> Object:
    """The claims of a new token. `node` is the bound pod's, if it is known."""
    metadata = account["metadata"]
    private: Object = {"namespace": metadata["namespace"], "serviceaccount": _reference(account)}
    if bound is not None:
        kinds = {PODS: "pod", SECRETS: "secret", NODES: "node"}
        private[kinds[bound[0]]] = _reference(bound[1])
    if node is not None:
        private["node"] = _reference(node)
    if lasts.warn_after is not None:
        private["warnafter"] = now + lasts.warn_after
    return {
        "aud": list(audiences),
        "exp": now + lasts.seconds,
        "iat": now,
        "iss": issuer,
        "jti": token_id,
        PRIVATE: private,
        "nbf": now,
        "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
    }


def _reference(obj: Object) -> Object:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def user(claims: Object) -> UserInfo:
    """Whom a token speaks for. Raises `Refused` for one that isn't bound (no token of this server)."""
    private = claims.get(PRIVATE) or {}
    namespace, account = private.get("namespace") or "", private.get("serviceaccount") or {}
    name = f"system:serviceaccount:{namespace}:{account.get('name', '')}"
    if not namespace or not account.get("name") or claims.get("sub") != name:
        raise Refused("the token has no service account")
    extra: dict[str, tuple[str, ...]] = {}
    for kind in ("pod", "node"):
        there = private.get(kind)
        if there:
            extra[f"{EXTRA}{kind}-name"] = (there["name"],)
            extra[f"{EXTRA}{kind}-uid"] = (there["uid"],)
    if claims.get("jti"):
        extra[f"{EXTRA}credential-id"] = (f"JTI={claims['jti']}",)
    return UserInfo(
        name,
        account.get("uid", ""),
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
        extra,
    )


def check(claims: Object, now: float, reader: Reader) -> None:
    """Whether a token with a good signature holds now: in time, its account and what it is bound to still
    there. Raises `Refused`."""
    if now >= claims["exp"]:
        raise Refused("service account token has expired")
    if now < claims.get("nbf", 0) - LEEWAY:
        raise Refused("service account token is not valid yet")
    private = claims[PRIVATE]
    namespace = private["namespace"]
    _check_object(reader, SERVICE_ACCOUNTS, namespace, private["serviceaccount"], now)
    if "secret" in private:
        _check_object(reader, SECRETS, namespace, private["secret"], now)
    if "pod" in private:
        _check_object(reader, PODS, namespace, private["pod"], now)
    elif "node" in private:
        # A pod's node is there for information; only a token bound to the node itself dies with it.
        _check_object(reader, NODES, "", private["node"], now)


def _check_object(reader: Reader, gvr: GVR, namespace: str, reference: Object, now: float) -> None:
    obj = reader.get(gvr, namespace, reference["name"])
    if obj is None or obj["metadata"]["uid"] != reference["uid"]:
        raise Refused("service account token has been invalidated")
    deleted = obj["metadata"].get("deletionTimestamp")
    if deleted is not None and _timestamp(deleted) + LEEWAY < now:
        raise Refused("service account token has been invalidated")


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
