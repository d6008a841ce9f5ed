"""Writes to an object that may exist: decide, encode once, commit with compare-and-swap.

One attempt goes as in `creation`, from the object that `Change.produce` makes of the stored one. An attempt that
loses a race starts again from what is stored now, unless the client said which version it meant. Who owns
which fields is settled before admission (see `ownership`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from attrs import define

from kubrick_api.equality import identical
from kubrick_api.errors import FieldError, conflict, invalid, invalid_value, not_found
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Resource, Strategy
from kubrick_api.storage import Call, WriteContext
from kubrick_api.validation import object_meta_update
from kubrick_apiserver import incoming, removal
from kubrick_apiserver.admission import is_borrowed, settle
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.creation import insert, own_namespace
from kubrick_apiserver.options import WriteOptions
from kubrick_apiserver.ownership import same_but_for_times, settle_after_admission
from kubrick_apiserver.transaction import ATTEMPTS, admission_of, commit, shown, undo
from kubrick_kernel import Conflict, Item

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

Produce = Callable[[Object | None, WriteContext], Awaitable[Object | None]]


@define(eq=False)
class Change:
    """One write to an object that may exist: what `replace` needs to know.

    `produce` makes the new object from the stored one (None: there is none), on every attempt anew. It may have all
    but its metadata in common with the stored one (see `Strategy.borrows`). None from it means: leave as is.
    """

    resource: Resource
    call: Call
    options: WriteOptions
    produce: Produce
    strategy: Strategy
    subresource: str = ""
    admit: bool = True
    tracked: bool = False
    """Whether the writer comes to own what changes. Not so for what an apply made, which has its owners
    already, nor for what the server does by itself."""
    may_create: bool = False
    kind: str = "UpdateOptions"


async def replace(registry: "Registry", change: Change) -> Answer:
    """Try until the commit goes through. Raises StatusError."""
    resource, call = change.resource, change.call
    key = resource.key(call.namespace, call.name)
    item = registry.topic(resource).get(key)
    for _ in range(ATTEMPTS):
        context = registry.context(call.user, change.subresource, change.options.dry_run)
        try:
            return await _attempt(registry, change, key, item, context)
        except Conflict as race:
            item = race.current if race.key == key else registry.topic(resource).get(key)
        finally:
            undo(context)
    raise conflict(resource.gvr, call.name)


async def _attempt(
    registry: "Registry", change: Change, key: bytes, item: Item | None, context: WriteContext
) -> Answer:
    resource, call = change.resource, change.call
    if item is None and change.kind == "UpdateOptions" and not change.may_create:
        await _refuse_absent(registry, change, context)
    old = None if item is None else registry.glance(resource, item)
    obj = await change.produce(old, context)
    if obj is None:
        return Answer(item, warnings=context.warnings)
    if old is None or item is None:
        return await _create_by_update(registry, change, obj, context)
    _check_versions(change, obj, old, item)
    strategy = change.strategy
    if change.subresource or not (strategy.borrows and is_borrowed(obj, old)):
        settle(obj, old)
        strategy.default(obj)
    if change.tracked:
        registry.owners.updated(resource, call, obj, old, change.options, context)
    record = None
    attributes = None
    if change.admit:
        attributes = admission_of(
            registry, resource, call, "UPDATE", call.namespace or own_namespace(resource, call.name), call.name, context
        )
        attributes.object, attributes.old_object = obj, old
        attributes.options = {"kind": change.kind, "apiVersion": "meta.k8s.io/v1", **shown(change.options)}
        owners = obj["metadata"].get("managedFields")
        loose, record = await registry.chain.mutate(attributes)
        if loose:
            settle(obj, old)
            registry.catalog.type(resource).accept(obj, resource.kind)
            settle_after_admission(obj, owners, context.warnings)
            strategy.default(obj)
    keep_system_fields(obj, old)
    owned = obj["metadata"].get("managedFields")
    strategy.prepare_for_update(obj, old, context)
    if owned is not None:
        obj["metadata"]["managedFields"] = owned
    await strategy.allocate(obj, old, context)
    errors = _validate(change, obj, old)
    if errors:
        raise invalid(resource.kind, call.name, errors)
    context.warnings += strategy.warnings(obj, old)
    if attributes is not None:
        await registry.chain.validate(attributes, record)
    if removal.is_finished(resource, obj, old):
        return await removal.finish(registry, resource, call, item, obj, context)
    if same_but_for_times(obj, old):
        return Answer(item, warnings=context.warnings)
    if context.dry_run:
        return Answer(obj=obj, warnings=context.warnings)
    written = await commit(registry, resource, key, obj, item.revision, context)
    context.on_failure.clear()
    return Answer(written, warnings=context.warnings)


async def _refuse_absent(registry: "Registry", change: Change, context: WriteContext) -> None:
    """404 for an update of what isn't there; 409 when the update says which one it meant."""
    resource, call = change.resource, change.call
    obj = await change.produce(None, context)
    uid = (obj or {}).get("metadata", {}).get("uid")
    if uid:
        raise conflict(resource.gvr, call.name, wrong_uid(resource, call, uid, ""))
    raise not_found(resource.gvr, call.name)


async def _create_by_update(registry: "Registry", change: Change, obj: Object, context: WriteContext) -> Answer:
    """A PUT that creates, where the strategy lets it."""
    resource, call = change.resource, change.call
    if not change.may_create:
        raise not_found(resource.gvr, call.name)
    uid = obj["metadata"].get("uid")
    if uid:
        raise conflict(resource.gvr, call.name, wrong_uid(resource, call, uid, ""))
    incoming.clear_system_fields(obj)
    if incoming.given_revision(obj):
        raise conflict(resource.gvr, call.name)
    obj["metadata"].pop("resourceVersion", None)
    resource.strategy.default(obj)
    if change.tracked:
        registry.owners.created(resource, call, obj, change.options, context)
    answer = await insert(registry, resource, call, obj, change.options, context)
    context.on_failure.clear()
    return answer


def wrong_uid(resource: Resource, call: Call, asked: str, found: str) -> str:
    """What the storage layer says of a UID that isn't the object's."""
    key = "/registry/" + resource.key(call.namespace, call.name).decode()
    return (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {asked}, UID in object meta: {found}"
    )


def _check_versions(change: Change, obj: Object, old: Object, item: Item) -> None:
    """Optimistic concurrency: the object meant must be the object stored."""
    resource, call = change.resource, change.call
    metadata = obj["metadata"]
    uid = metadata.get("uid")
    if uid and uid != old["metadata"].get("uid"):
        raise conflict(resource.gvr, call.name, wrong_uid(resource, call, uid, old["metadata"].get("uid", "")))
    given = incoming.given_revision(obj)
    if not given:
        if not change.strategy.allow_unconditional_update and change.kind == "UpdateOptions":
            kind = GVK(resource.gvr.group, resource.gvr.version, resource.gvr.resource)
            error = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(kind, call.name, [error])
    elif given != item.revision:
        raise conflict(resource.gvr, call.name)
    metadata["resourceVersion"] = old["metadata"]["resourceVersion"]


def keep_system_fields(obj: Object, old: Object) -> None:
    """What an update can't change: identity, birth, and a deletion under way."""
    metadata, before = obj["metadata"], old["metadata"]
    metadata.pop("selfLink", None)
    for name in ("uid", "creationTimestamp", "generation"):
        if name in before:
            metadata[name] = before[name]
        else:
            metadata.pop(name, None)
    if "deletionTimestamp" in before:
        metadata["deletionTimestamp"] = before["deletionTimestamp"]
        if "deletionGracePeriodSeconds" in before:
            metadata.setdefault("deletionGracePeriodSeconds", before["deletionGracePeriodSeconds"])
    else:
        metadata.pop("deletionTimestamp", None)
        metadata.pop("deletionGracePeriodSeconds", None)


def _validate(change: Change, obj: Object, old: Object) -> list[FieldError]:
    strategy = change.strategy
    errors: list[FieldError] = object_meta_update(obj["metadata"], old["metadata"])
    if change.subresource == "status":
        return errors + strategy.validate_status_update(obj, old)
    if is_borrowed(obj, old) or (
        len(obj) == len(old) and all(key == "metadata" or (key in old and identical(obj[key], old[key])) for key in obj)
    ):
        return errors + strategy.validate_metadata_update(obj, old)
    return errors + strategy.validate_replacement(obj, old)
