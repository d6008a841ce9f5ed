"""Access reviews: `kubectl auth can-i` and its kin, answered by the cluster's `Authorization`.

From pkg/registry/authorization: a review's spec is validated, its status filled in, nothing stored.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from kubrick_api.equality import empty
from kubrick_api.errors import FieldError, StatusError, bad_request, invalid, invalid_value
from kubrick_api.names import GVK
from kubrick_api.resource import Object
from kubrick_api.storage import Call, Storage, UserInfo, WriteContext
from kubrick_api_authorization.contract import Authorization, Question
from kubrick_api_authorization.selection import ignored, selector_errors

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

GROUP, VERSION = "authorization.k8s.io", "v1"
ATTRIBUTES = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
BOTH = "cannot be specified in combination with resourceAttributes"


def authorization(kernel: "Kernel") -> Authorization:
    """Raises StatusError 501 when the composition has nobody who decides."""
    if not kernel.has(Authorization):
        raise StatusError(501, "", "this cluster has no authorization: enable the apiserver plugin")
    found: Authorization = kernel.find(Authorization)
    return found


def question(spec: Object, user: UserInfo) -> Question:
    """What a review asks, about `user`."""
    attributes = spec.get("resourceAttributes")
    if attributes is None:
        path = spec.get("nonResourceAttributes") or {}
        return Question(user, path.get("verb") or "", path=path.get("path") or "/")
    text = {key: attributes[key] for key in ATTRIBUTES if attributes.get(key)}
    return Question(user, text.pop("verb", ""), **text)


def user_of(spec: Object) -> UserInfo:
    """The user a SubjectAccessReview is about."""
    extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return UserInfo(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()), extra)


def _attributes(spec: Object) -> Iterator[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        yield invalid_value("spec.nonResourceAttributes", path, BOTH)
    elif resource is None and path is None:
        yield invalid_value("spec.resourceAttributes", None, ONE_OF)


def _subject(spec: Object) -> Iterator[FieldError]:
    if not spec.get("user") and not spec.get("groups"):
        yield invalid_value("spec.user", spec.get("user") or "", "at least one of user or group must be specified")


@frozen
class AccessReview:
    """One of the three kinds of access review. `own`: about the caller; `local`: in one namespace."""

    kernel: "Kernel"
    kind: str
    own: bool = False
    local: bool = False

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        review: Object = call.body or {}
        spec = review.get("spec") or {}
        self._check(call, review, spec)
        user = call.user if self.own else user_of(spec)
        allowed, denied, reason = authorization(self.kernel).authorize(question(spec, user))
        status: Object = {"allowed": allowed}
        if denied:
            status["denied"] = True
        if reason:
            status["reason"] = reason
        if trouble := ignored(spec.get("resourceAttributes") or {}):
            status["evaluationError"] = trouble
        return {**review, "kind": self.kind, "apiVersion": f"{GROUP}/{VERSION}", "status": status}

    def _check(self, call: Call, review: Object, spec: Object) -> None:
        errors = list(_attributes(spec))
        if not self.own:
            errors += _subject(spec)
        errors += selector_errors(spec.get("resourceAttributes") or {})
        metadata = review.get("metadata") or {}
        hidden = ("managedFields", "namespace") if self.local else ("managedFields",)
        if not empty({key: value for key, value in metadata.items() if key not in hidden}):
            why = "must be empty except for namespace" if self.local else "must be empty"
            errors.append(invalid_value("metadata", metadata, why))
        if self.local:
            errors += _local(call, spec)
        if errors:
            raise invalid(GVK(GROUP, VERSION, self.kind), "", errors)


def _local(call: Call, spec: Object) -> Iterator[FieldError]:
    """A local review is about its own namespace."""
    attributes, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if attributes is not None and (attributes.get("namespace") or "") != call.namespace:
        at = "spec.resourceAttributes.namespace"
        yield invalid_value(at, attributes.get("namespace") or "", "must match metadata.namespace")
    if path is not None:
        yield invalid_value("spec.nonResourceAttributes", path, "disallowed on this kind of request")


@frozen
class RulesReview:
    """SelfSubjectRulesReview: everything the caller may do in a namespace. The answer doesn't repeat the question."""

    kernel: "Kernel"

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        review: Object = call.body or {}
        spec = review.get("spec") or {}
        namespace = spec.get("namespace") or ""
        if not namespace:
            raise bad_request("no namespace on request")
        found = authorization(self.kernel).rules(call.user, namespace)
        status: Object = {
            "resourceRules": found.resource_rules,
            "nonResourceRules": found.non_resource_rules,
            "incomplete": found.incomplete,
        }
        if found.error:
            status["evaluationError"] = found.error
        return {
            "kind": "SelfSubjectRulesReview",
            "apiVersion": f"{GROUP}/{VERSION}",
            "metadata": {},
            "spec": {},
            "status": status,
        }
