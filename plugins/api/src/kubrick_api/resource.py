"""What an API group plugin hands over: groups, resources, and a strategy for what a schema can't say.

Objects are plain JSON-shaped dicts. The engine (`kubrick_api.schema`) does what the schema says:
pruning, static defaults, types, list-map semantics. A `Strategy` says the rest.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from kubrick_api.errors import FieldError
from kubrick_api.names import GVK, GVR
from kubrick_api.storage import Object, Reader, Storage, SubresourceHandler, WriteContext
from kubrick_api.validation import name_is_dns_subdomain


@frozen
class Column:
    """One column of a kind's Table. `priority` 0 is always shown, 1 only with ``-o wide``."""

    name: str
    type: str
    format: str = ""
    priority: int = 0
    description: str = ""


class Strategy:
    """How one resource behaves where its schema is silent. Override what differs.

    The server calls, on create: `default` → mutating admission → `default` again (if a plugin may have left
    gaps) → `prepare_for_create` → `allocate` → `validate` → validating admission; on update: `default` →
    mutating admission → `default` again → `prepare_for_update` → `allocate` → `validate_replacement` (by default
    `validate` and `validate_update`) → validating admission.
    A generated name and the uid are there from `prepare_for_create` on. Objects are the server's own
    copies and may be changed in place (but see `borrows`), except `old`, which is shared.
    """

    columns: Sequence[Column] = ()
    """Table columns; empty means Name and Age."""
    has_status: bool = False
    """Whether there is a status subresource: the main resource then keeps the old status, and the
    status subresource keeps the old everything else (see `prepare_for_update`)."""
    status_keeps_metadata: bool = False
    """Whether labels, annotations, finalizers and owners can't be changed through the status subresource."""
    tracks_generation: bool = False
    """Whether metadata.generation counts changes of the spec."""
    allow_create_on_update: bool = False
    """Whether PUT may create (Lease, Event, Endpoints, ... do)."""
    allow_unconditional_update: bool = True
    """Whether an update without resourceVersion is accepted."""
    borrows: bool = False
    """Whether an update of nothing but metadata may leave the other members in common with the stored object,
    which saves copying them: `default` isn't called for it then, and nothing here changes those members in place. Say
    so where labels and annotations decide nothing about the rest."""
    event_ttl: float | None = None
    """Seconds after which each object expires by itself."""

    def default(self, obj: Object) -> None:
        """Dynamic defaults. Idempotent."""

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """Clear what a creator may not set. The default drops status when `has_status`, and starts
        metadata.generation at 1 when `tracks_generation`."""
        if self.has_status:
            obj.pop("status", None)
        if self.tracks_generation:
            obj["metadata"]["generation"] = 1

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        """Put back what an updater may not set. `context.subresource` is "" or the subresource's
        name. The default keeps status (or, for "status", all but status and metadata; see
        `status_keeps_metadata`), and bumps metadata.generation when spec changed and `tracks_generation`."""
        if context.subresource == "status":
            keep_all_but_status(obj, old, metadata=self.status_keeps_metadata)
            return
        if self.has_status:
            if "status" in old:
                obj["status"] = old["status"]
            else:
                obj.pop("status", None)
        if self.tracks_generation:
            generation = old["metadata"].get("generation", 1)
            spec, before = obj.get("spec"), old.get("spec")
            obj["metadata"]["generation"] = generation if spec is before or spec == before else generation + 1

    async def allocate(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        """Reserve what the object needs (an address, a port), or release it (`obj` may drop it).
        Further objects may be written in the same transaction through `context.also`."""

    async def release(self, old: Object, context: WriteContext) -> None:
        """The object is about to be removed from storage; `context.also` joins the transaction."""

    def validate(self, obj: Object) -> list[FieldError]:
        """Everything wrong with a new object, metadata aside."""
        return []

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        """Everything wrong with the change, metadata aside. `validate` is called as well."""
        return []

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """What the server asks for an update, metadata aside: everything wrong with the new object, then with
        the change. Override where Kubernetes reports in another order, or forgives what was wrong before."""
        return self.validate(obj) + self.validate_update(obj, old)

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        """What the server asks instead for an update of nothing but metadata: the rest was valid when it was
        written. Override where validation reads labels or annotations."""
        return []

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        """The same for an update of the status subresource; `validate` is not called then."""
        return []

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        """What is wrong with a name (or, when `prefix`, with a generateName). The default wants a
        DNS-1123 subdomain."""
        return name_is_dns_subdomain(name, prefix)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Warning headers for a create or update."""
        return []

    def grace_period(self, obj: Object, asked: int | None) -> int | None:
        """Seconds of graceful deletion for this object, given what the request asked for; None when
        the resource is deleted at once (all but pods)."""
        return None

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        """Fields usable in field selectors, beyond metadata.name and metadata.namespace. Must return
        the same keys for every object, an empty one included."""
        return {}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        """The object's cells, one per entry of `columns`."""
        from kubrick_api.table import default_row

        return default_row(obj, now)


def keep_all_but_status(obj: Object, old: Object, *, metadata: bool = True) -> None:
    """Turn `obj` into `old` with the status of `obj`, and with its metadata; where `metadata` is to be kept too, only
    with its resourceVersion and managedFields."""
    status, given = obj.get("status"), obj["metadata"]
    if metadata:
        names = ("resourceVersion", "managedFields")
        given = {
            **{name: value for name, value in old["metadata"].items() if name not in names},
            **{name: given[name] for name in names if name in given},
        }
    obj.clear()
    obj.update({key: value for key, value in old.items() if key != "status"})
    obj["metadata"] = given
    if status is not None:
        obj["status"] = status


@frozen
class Subresource:
    """One subresource. Without `handler` it is a view of the object itself: get, update and patch go
    through `strategy` (the resource's own when None) with ``context.subresource`` set."""

    name: str
    kind: GVK
    verbs: tuple[str, ...]
    """API verbs: create, get, update, patch, delete."""
    handler: SubresourceHandler | None = None
    strategy: Strategy | None = None
    accepts: tuple[str, ...] = ()
    """Further API versions that a body may say (policy/v1beta1 for an Eviction); it is read as `kind`."""


@define(eq=False)
class Resource:
    """One resource of one group-version.

    `schema` names its type in the group's schema table. `stored_as` names the resource whose storage
    it shares (events.k8s.io/v1 events are core events): `to_storage` and `from_storage` convert.
    A virtual resource (`virtual` set: reviews, bindings, componentstatuses) has no storage; all verbs
    go to that handler.
    """

    gvr: GVR
    kind: GVK
    namespaced: bool
    verbs: tuple[str, ...]
    """API verbs: create, delete, deletecollection, get, list, patch, update, watch."""
    singular: str
    schema: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    strategy: Strategy = field(factory=Strategy)
    subresources: dict[str, Subresource] = field(factory=dict)
    virtual: SubresourceHandler | None = None
    stored_as: GVR | None = None
    deprecation: str = ""
    """What every request for it is warned of: ``v1 Endpoints is deprecated in v1.33+; use …``."""
    _stem: str | None = field(default=None, init=False, repr=False)
    """`key_prefix` as text, once it was asked for."""

    @property
    def storage(self) -> GVR:
        return self.stored_as or self.gvr

    @property
    def list_kind(self) -> str:
        return f"{self.kind.kind}List"

    @property
    def key_prefix(self) -> bytes:
        """Where objects live in the store: ``pods/``, ``deployments.apps/``."""
        if self._stem is None:
            self._stem = f"{self.storage.qualified}/"
        return self._stem.encode()

    def key(self, namespace: str, name: str) -> bytes:
        """The store's key of one object: ``pods/<namespace>/<name>``, ``nodes/<name>``."""
        if self._stem is None:
            self._stem = f"{self.storage.qualified}/"
        return (f"{self._stem}{namespace}/{name}" if self.namespaced else self._stem + name).encode()

    def to_storage(self, obj: Object) -> Object:
        """This version of the object → the stored version. Only when `stored_as` is set."""
        raise NotImplementedError(f"{self.gvr} has no conversion")

    def from_storage(self, obj: Object) -> Object:
        """The stored version → this version. The argument is shared and must not be changed."""
        raise NotImplementedError(f"{self.gvr} has no conversion")


@frozen
class APIGroup:
    """What `kubrick_register_api_groups` returns: one group-version and its resources.

    `schemas` is the group's table of types, loaded on demand: name → definition in the shape of
    `kubrick_api.schema` (see there). `priority` orders groups in discovery (higher first), as
    kube-aggregator does: core 18000, apps 17800, ... `messages` are messages that exist in protobuf only
    (see `kubrick_api.protobuf`), `descriptions` what OpenAPI says of each type ("") and its fields.
    """

    group: str
    version: str
    resources: tuple[Resource, ...]
    schemas: Mapping[str, Any]
    priority: int = 1000
    messages: Mapping[str, Any] = field(factory=dict)
    descriptions: Mapping[str, Mapping[str, str]] = field(factory=dict)


__all__ = [
    "APIGroup",
    "Column",
    "Object",
    "Reader",
    "Resource",
    "Storage",
    "Strategy",
    "Subresource",
    "SubresourceHandler",
    "WriteContext",
    "keep_all_but_status",
]
