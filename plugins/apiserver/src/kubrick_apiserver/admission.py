"""The admission contract: attributes of a request, and the two things a plugin can do with them.

Order and phases are Kubernetes': every mutating step, then validation, then every validating step.
"""

from typing import Any, Protocol, runtime_checkable

from attrs import define, field

from kubrick_api.codec import copy
from kubrick_api.errors import StatusError, forbidden
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import Object
from kubrick_api.storage import Reader, Storage, UserInfo


@define(eq=False)
class Attributes:
    """One request under admission. `operation` is CREATE, UPDATE, DELETE or CONNECT.

    `object` is the server's private copy: a mutating plugin changes it in place (validating plugins
    must not). It is None for DELETE. `old_object` is shared and must not be changed; None for CREATE.
    For plugins that say ``borrows``, `object` may have members in common with `old_object`: see `own`.
    """

    operation: str
    resource: GVR
    kind: GVK
    namespace: str
    name: str
    subresource: str
    object: Object | None
    old_object: Object | None
    options: Object
    dry_run: bool
    user: UserInfo
    reader: Reader
    storage: Storage
    warnings: list[str] = field(factory=list)
    audit_annotations: dict[str, str] = field(factory=dict)

    def own(self, member: str) -> Any:
        """A member of `object`, to be changed in place; None when it has none."""
        assert self.object is not None
        value = self.object.get(member)
        if value is not None and self.old_object is not None and value is self.old_object.get(member):
            value = self.object[member] = copy(value)
        return value


class AdmissionPlugin(Protocol):
    """What every admission plugin has. `order` is its place in the chain: Kubernetes' own plugins use
    10 × their row in the reference's table (NamespaceLifecycle 10, LimitRanger 20, ... ResourceQuota 270);
    strangers default to 225, just before the admission policies and webhooks.

    A mutating plugin may also say ``exact = True``: what it adds is complete and valid by the schema, so
    that the object need not be defaulted and pruned again after it. And ``borrows = True``: it changes nothing of an
    object in place but what `Attributes.own` gave it, so that a patch of labels need not copy the whole object
    for it. Leave both out when in doubt."""

    name: str
    order: int

    def handles(self, attributes: Attributes) -> bool:
        """Cheap and synchronous: is this request any of this plugin's business?"""
        ...


@runtime_checkable
class MutatingAdmission(AdmissionPlugin, Protocol):
    async def admit(self, attributes: Attributes) -> None:
        """May change `attributes.object`. Raises StatusError to refuse (usually
        `kubrick_api.errors.forbidden`)."""
        ...


@runtime_checkable
class ValidatingAdmission(AdmissionPlugin, Protocol):
    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError to refuse."""
        ...


@define
class Step:
    """The record one admission step leaves: who, which phase, the change as a JSON Patch, the
    decision and its reason, and how long it took in seconds."""

    plugin: str
    phase: str
    allowed: bool
    reason: str
    patch: list[dict[str, Any]]
    seconds: float


def is_borrowed(obj: Object, old: Object) -> bool:
    """Whether an object has all but its metadata in common with the stored one."""
    return len(obj) == len(old) and all(value is old.get(key) or key == "metadata" for key, value in obj.items())


def settle(obj: Object, old: Object) -> None:
    """Make all members of `obj` its own."""
    for key, value in obj.items():
        if key != "metadata" and value is old.get(key):
            obj[key] = copy(value)
    metadata = obj["metadata"]
    owners = metadata.get("managedFields")
    if owners is not None and owners is old["metadata"].get("managedFields"):
        metadata["managedFields"] = copy(owners)


def refusal(attributes: Attributes, why: str) -> StatusError:
    """403 as admission plugins word it. An object that is to get a generated name has none yet and goes
    by its generateName."""
    name = attributes.name
    if not name:
        metadata = (attributes.object or {}).get("metadata") or {}
        name = metadata.get("name") or metadata.get("generateName") or "Unknown"
    return forbidden(attributes.resource, name, why)
