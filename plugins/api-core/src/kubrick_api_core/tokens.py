"""serviceaccounts/token: TokenRequest, answered by whoever can sign.

The brick that signs tokens offers a `TokenIssuer` to the kernel; without one the answer is 501.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from kubrick_api.errors import FieldError, StatusError, bad_request, conflict, invalid, invalid_value, not_found
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import Object
from kubrick_api.storage import Call, Reader, Storage, WriteContext
from kubrick_api_core.names import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from kubrick_kernel import rfc3339

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

TOKEN_REQUEST = GVK("authentication.k8s.io", "v1", "TokenRequest")
HOUR, TEN_MINUTES, LONGEST = 3600, 600, 1 << 32
BINDABLE = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}
"""What a token can live with, by kind; of the core group, whatever version is said."""


class TokenIssuer(Protocol):
    """Signs tokens of service accounts."""

    def issue(
        self, account: Object, audiences: Sequence[str], seconds: int, bound: tuple[GVR, Object] | None
    ) -> tuple[str, datetime, list[str]]:
        """A token for `account` (a ServiceAccount) that ends in `seconds` and, when `bound`, with that
        object. No audiences means the API server's own. Returns token, end and audiences."""
        ...


@frozen
class TokenHandler:
    kernel: "Kernel"

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        request: Object = call.body or {}
        asked = request.get("metadata") or {}
        _check_name(call, asked)
        account = storage.reader.get(SERVICE_ACCOUNTS, call.namespace, call.name)
        if account is None:
            raise not_found(SERVICE_ACCOUNTS, call.name)
        _check_account(call, asked, account["metadata"]["uid"])
        spec = {**(request.get("spec") or {})}
        spec.setdefault("expirationSeconds", HOUR)
        seconds = spec["expirationSeconds"]
        if errors := _term(seconds):
            raise invalid(TOKEN_REQUEST, "", errors)
        bound = _bound(storage.reader, call, spec.get("boundObjectRef"))
        if not self.kernel.has(TokenIssuer):
            raise StatusError(
                501, "", "this cluster can't issue tokens: enable a plugin that signs them for service accounts"
            )
        token, end, audiences = self.kernel.find(TokenIssuer).issue(
            account, spec.get("audiences") or [], seconds, bound
        )
        spec["audiences"] = audiences
        own = {"name": call.name, "namespace": call.namespace, "uid": account["metadata"]["uid"]}
        return {
            "kind": TOKEN_REQUEST.kind,
            "apiVersion": TOKEN_REQUEST.api_version,
            "metadata": {**asked, **own, "creationTimestamp": rfc3339(context.now)},
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": rfc3339(end)},
        }


def _check_name(call: Call, asked: Object) -> None:
    """A request that says a name says the account's. Raises StatusError 422."""
    name = asked.get("name")
    if name and name != call.name:
        errors = [invalid_value("metadata.name", name, "must match the service account name if specified")]
        raise invalid(TOKEN_REQUEST, call.name, errors)


def _check_account(call: Call, asked: Object, uid: str) -> None:
    """A request that says a uid means that account and no later one of its name. Raises StatusError 409."""
    if asked.get("uid") and asked["uid"] != uid:
        why = f"the UID in the token request ({asked['uid']}) does not match the UID of the service account ({uid})"
        raise conflict(GVR("authentication.k8s.io", "v1", "TokenRequest"), call.name, why)


def _term(seconds: int) -> list[FieldError]:
    at = "spec.expirationSeconds"
    if seconds < TEN_MINUTES:
        return [invalid_value(at, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > LONGEST:
        return [invalid_value(at, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


def _bound(reader: Reader, call: Call, reference: Object | None) -> tuple[GVR, Object] | None:
    """The object the token shall live with. Raises StatusError when it isn't there or isn't that one."""
    if reference is None:
        return None
    group, _, version = (reference.get("apiVersion") or "").rpartition("/")
    kind, name, uid = (reference.get(key) or "" for key in ("kind", "name", "uid"))
    gvr = BINDABLE.get(kind) if not group else None
    if gvr is None:
        raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    obj = reader.get(gvr, "" if gvr == NODES else call.namespace, name)
    if obj is None:
        raise not_found(gvr, name)
    if gvr == PODS and obj["spec"].get("serviceAccountName") != call.name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{call.name}" to pod running with different serviceaccount name.'
        )
    if uid and uid != obj["metadata"]["uid"]:
        why = f"the UID in the bound object reference ({uid}) does not match the UID in record. "
        why += "The object might have been deleted and then recreated"
        raise conflict(GVR("", version, kind), name, why)
    return gvr, obj
