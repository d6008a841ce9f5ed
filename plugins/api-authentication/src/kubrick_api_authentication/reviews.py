"""SelfSubjectReview and TokenReview (pkg/registry/authentication): who somebody is."""

from typing import TYPE_CHECKING, Any

from attrs import frozen

from kubrick_api.errors import StatusError, bad_request
from kubrick_api.resource import Object
from kubrick_api.storage import Call, Storage, UserInfo, WriteContext
from kubrick_api_authentication.contract import Authentication
from kubrick_kernel import rfc3339

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

API_VERSION = "authentication.k8s.io/v1"


def user_object(user: UserInfo) -> Object:
    """A user in the shape of an authentication.k8s.io UserInfo."""
    shown: Object = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {key: list(values) for key, values in user.extra.items()}
    return shown


async def review_self(call: Call, storage: Storage, context: WriteContext) -> Object:
    """Who the caller is, as `kubectl auth whoami` shows."""
    return {
        "kind": "SelfSubjectReview",
        "apiVersion": API_VERSION,
        "metadata": {"creationTimestamp": rfc3339(context.now)},
        "status": {"userInfo": user_object(call.user)},
    }


@frozen
class TokenReview:
    kernel: "Kernel"

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        review: Object = call.body or {}
        spec = review.get("spec") or {}
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        if not self.kernel.has(Authentication):
            raise StatusError(501, "", "this cluster has no authentication: enable the apiserver plugin")
        status: dict[str, Any] = {"user": {}}
        try:
            user, audiences = await self.kernel.find(Authentication).review(spec["token"], spec.get("audiences") or ())
        except StatusError as error:
            user, audiences, status["error"] = None, (), error.message
        if user is not None:
            status.update(authenticated=True, user=user_object(user))
            if audiences:
                status["audiences"] = list(audiences)
        elif "error" not in status:
            status["error"] = "invalid bearer token"
        return {**review, "kind": "TokenReview", "apiVersion": API_VERSION, "status": status}
