"""serviceaccounts/token: TokenRequest, answered by whoever can sign.

The brick that signs tokens offers a `TokenIssuer` to the kernel; without one the answer is 501.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from kubrick_api.errors import StatusError, conflict, forbidden, invalid, invalid_value, not_found
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import Object
from kubrick_api.storage import Call, Reader, Storage, WriteContext
from kubrick_api_core.names import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from kubrick_kernel import rfc3339

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

TOKEN_REQUEST = GVK("authentication.k8s.io", "v1", "TokenRequest")
HOUR, TEN_MINUTES, LONGEST = 3600, 600, 1 << 32
BINDABLE = {("Pod", "v1"): PODS, ("Secret", "v1"): SECRETS, ("Node", "v1"): NODES}


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
        account = storage.reader.get(SERVICE_ACCOUNTS, call.namespace, call.name)
        if account is None:
            raise not_found(SERVICE_ACCOUNTS, call.name)
        request: Object = call.body or {}
        spec = {**(request.get("spec") or {})}
        seconds = spec.get("expirationSeconds") or HOUR
        if seconds < TEN_MINUTES:
            why = "may not specify a duration less than 10 minutes"
            raise invalid(TOKEN_REQUEST, call.name, [invalid_value("spec.expirationSeconds", seconds, why)])
        if seconds > LONGEST:
            why = "may not specify a duration larger than 2^32 seconds"
            raise invalid(TOKEN_REQUEST, call.name, [invalid_value("spec.expirationSeconds", seconds, why)])
        bound = _bound(storage.reader, call, spec.get("boundObjectRef"))
        if not self.kernel.has(TokenIssuer):
            raise StatusError(
                501, "", "this cluster can't issue tokens: enable a plugin that signs them for service accounts"
            )
        token, end, audiences = self.kernel.find(TokenIssuer).issue(
            account, spec.get("audiences") or [], seconds, bound
        )
        spec.update(audiences=audiences, expirationSeconds=seconds)
        metadata = {"name": call.name, "namespace": call.namespace, "creationTimestamp": rfc3339(context.now)}
        return {
            "kind": TOKEN_REQUEST.kind,
            "apiVersion": TOKEN_REQUEST.api_version,
            "metadata": metadata,
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": rfc3339(end)},
        }


def _bound(reader: Reader, call: Call, reference: Object | None) -> tuple[GVR, Object] | None:
    """The object the token shall live with. Raises StatusError when it isn't there or isn't that one."""
    if reference is None:
        return None
    gvr = BINDABLE.get((reference.get("kind") or "", reference.get("apiVersion") or ""))
    name = reference.get("name") or ""
    if gvr is None:
        kind = f"{reference.get('apiVersion')}, Kind={reference.get('kind')}"
        raise StatusError(400, "BadRequest", f"cannot bind token for serviceaccount {call.name!r} to {kind}")
    obj = reader.get(gvr, "" if gvr == NODES else call.namespace, name)
    if obj is None:
        raise not_found(gvr, name)
    if gvr == PODS and obj["spec"].get("serviceAccountName") != call.name:
        own = obj["spec"].get("serviceAccountName")
        raise forbidden(SERVICE_ACCOUNTS, call.name, f'cannot bind token to pod "{name}": it runs as "{own}"')
    uid = reference.get("uid")
    if uid and uid != obj["metadata"]["uid"]:
        known = obj["metadata"]["uid"]
        raise conflict(
            gvr, name, f"the UID in the bound object reference ({uid}) does not match the UID in record ({known})"
        )
    return gvr, obj
