"""create, update and patch: parse once, decide, encode once, commit with compare-and-swap.

One attempt goes: the object as asked → defaults → mutating admission → the strategy's preparation →
reservations → validation → validating admission → commit, together with the strategy's companion objects.
An attempt that loses a race starts again from what is stored now, unless the client said which version
it meant. Who owns which fields is settled before admission (see `ownership`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from attrs import define

from kubrick_api import codec
from kubrick_api.equality import identical
from kubrick_api.errors import FieldError, StatusError, already_exists, conflict, invalid, invalid_value, not_found
from kubrick_api.fields.apply import Config
from kubrick_api.names import GVK, NAME_ALPHABET
from kubrick_api.resource import Object, Resource, Strategy
from kubrick_api.storage import Call, WriteContext
from kubrick_api.validation import object_meta, object_meta_update
from kubrick_apiserver import applying, incoming, patching, removal
from kubrick_apiserver.admission import is_borrowed, settle
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.applying import is_apply
from kubrick_apiserver.body import Body, WebBody
from kubrick_apiserver.negotiation import JSON
from kubrick_apiserver.options import USUAL, WriteOptions, write_options
from kubrick_apiserver.ownership import same_but_for_times, settle_after_admission
from kubrick_apiserver.transaction import ATTEMPTS, admission_of, commit, shown, undo
from kubrick_kernel import Conflict, Item, rfc3339

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

NAME_ATTEMPTS = 8
GENERATED_LIMIT = 58
SCALE = "scale"
"""The one subresource with a handler whose writes are owned as if they were made to the object."""


async def create(registry: "Registry", resource: Resource, call: Call, body: Body) -> Answer:
    """POST. Raises StatusError."""
    options = write_options(call.params, "CreateOptions")
    schema = registry.catalog.type(resource)
    plain = options is USUAL and isinstance(body, WebBody) and body.media == JSON
    for attempt in range(ATTEMPTS):
        context = registry.context(call.user, dry_run=options.dry_run)
        now = rfc3339(context.now)
        obj = registry.templates.find(resource, schema, call, body.data, now) if plain else None
        versioned = False
        if obj is None:
            obj = incoming.receive(registry, resource.kind, schema, body, options, context.warnings)
            incoming.clear_system_fields(obj)
            incoming.settle_namespace(resource, call.namespace, obj)
            versioned = incoming.is_number(obj["metadata"].pop("resourceVersion", None))
            resource.strategy.default(obj)
            registry.owners.created(resource, call, obj, options, context)
            if plain and not context.warnings and not versioned:
                registry.templates.learn(resource, schema, call, body.data, obj, now)
        metadata = obj["metadata"]
        generated = metadata.get("generateName") if not metadata.get("name") else None
        try:
            return await insert(registry, resource, call, obj, options, context, generated, versioned=versioned)
        except Conflict as race:
            if race.key == resource.key(metadata.get("namespace", ""), metadata["name"]):
                error = already_exists(resource.gvr, metadata["name"])
                if not generated:
                    raise error from None
                if attempt + 1 >= NAME_ATTEMPTS:
                    error.message += ", the server was not able to generate a unique name for the object"
                    raise error from None
    raise conflict(resource.gvr, call.name)


async def insert(
    registry: "Registry",
    resource: Resource,
    call: Call,
    obj: Object,
    options: WriteOptions,
    context: WriteContext,
    generated: str | None = None,
    *,
    versioned: bool = False,
) -> Answer:
    """Admit, validate and commit a new object, which has its defaults and owners. Raises StatusError, and
    Conflict when something is there. The storage refuses what was `versioned`, as upstream's does, so late."""
    metadata = obj["metadata"]
    strategy = resource.strategy
    namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
    attributes = admission_of(registry, resource, call, "CREATE", namespace or _own(resource, name), name, context)
    attributes.object = obj
    attributes.options = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", **shown(options)}
    try:
        owners = metadata.get("managedFields")
        loose, record = await registry.chain.mutate(attributes)
        if loose:
            registry.catalog.type(resource).accept(obj, resource.kind)
            metadata = obj["metadata"]
            settle_after_admission(obj, owners, context.warnings)
        metadata["uid"] = registry.kernel.uuid()
        metadata["creationTimestamp"] = rfc3339(context.now)
        if generated and not metadata.get("name"):
            name = attributes.name = metadata["name"] = generate_name(registry, generated)
        if loose or generated:
            strategy.default(obj)
        strategy.prepare_for_create(obj, context)
        await strategy.allocate(obj, None, context)
        errors = object_meta(metadata, resource.namespaced, strategy.validate_name)
        errors += strategy.validate(obj)
        if errors:
            raise invalid(resource.kind, name, errors)
        context.warnings += strategy.warnings(obj, None)
        await registry.chain.validate(attributes, record)
        if options.dry_run:
            if registry.topic(resource).get(resource.key(namespace, name)) is not None:
                raise already_exists(resource.gvr, name)
            undo(context)
            return Answer(obj=obj, status=201, warnings=context.warnings)
        if versioned:
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        item = await commit(registry, resource, resource.key(namespace, name), obj, 0, context)
    except BaseException:
        undo(context)
        raise
    return Answer(item, status=201, warnings=context.warnings)


def _own(resource: Resource, name: str) -> str:
    """A Namespace is admitted as being in itself."""
    return name if resource.gvr.resource == "namespaces" and not resource.gvr.group else ""


def generate_name(registry: "Registry", stem: str) -> str:
    """`stem` and five random characters."""
    choices = registry.kernel.random.choices(NAME_ALPHABET, k=5)
    return stem[:GENERATED_LIMIT] + "".join(choices)


# Update and patch

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


async def update(
    registry: "Registry", resource: Resource, call: Call, body: Body, strategy: Strategy | None = None
) -> Answer:
    """PUT, of the object or of a subresource that is a view of it."""
    options = write_options(call.params, "UpdateOptions")
    schema = registry.catalog.type(resource)

    async def produce(old: Object | None, context: WriteContext) -> Object:
        obj = incoming.receive(registry, resource.kind, schema, body, options, context.warnings)
        incoming.settle_name(resource, call.namespace, call.name, obj)
        return obj

    chosen = strategy or resource.strategy
    may_create = chosen.allow_create_on_update and not call.subresource
    return await replace(
        registry,
        Change(resource, call, options, produce, chosen, call.subresource, tracked=True, may_create=may_create),
    )


async def patch(
    registry: "Registry", resource: Resource, call: Call, body: Body, strategy: Strategy | None = None
) -> Answer:
    """PATCH with a JSON, merge or strategic patch, or by server-side apply."""
    if is_apply(call.content_type):
        return await _apply(registry, resource, call, body, strategy or resource.strategy)
    options = write_options(call.params, "PatchOptions")
    apply = patching.reader(registry, resource, call, body, options)

    async def produce(old: Object | None, context: WriteContext) -> Object:
        if old is None:
            raise not_found(resource.gvr, call.name)
        obj = apply(old, context.warnings)
        incoming.settle_name(resource, call.namespace, call.name, obj)
        return obj

    change = Change(resource, call, options, produce, strategy or resource.strategy, call.subresource, tracked=True)
    change.kind = "PatchOptions"
    return await replace(registry, change)


async def _apply(registry: "Registry", resource: Resource, call: Call, body: Body, strategy: Strategy) -> Answer:
    """Server-side apply, which creates what isn't there."""
    options = write_options(call.params, "PatchOptions", apply=True)

    def read(warnings: list[str]) -> Config:
        return registry.owners.configuration(resource, body, options, warnings)

    change = Change(resource, call, options, _layer(registry, resource, call, options, read), strategy)
    change.subresource, change.may_create = call.subresource, True
    change.kind = "PatchOptions"
    return await replace(registry, change)


async def apply_scale(
    registry: "Registry", resource: Resource, call: Call, options: WriteOptions, config: Config
) -> Answer:
    """Apply to the scale subresource: `config` is about the object's replicas, and is admitted already."""
    produce = _layer(registry, resource, call, options, lambda warnings: config)
    change = Change(resource, call, options, produce, resource.strategy, admit=False)
    change.kind = "PatchOptions"
    return await replace(registry, change)


def _layer(
    registry: "Registry",
    resource: Resource,
    call: Call,
    options: WriteOptions,
    read: Callable[[list[str]], Config],
) -> Produce:
    """`Change.produce` that lays a configuration over what is stored."""
    schema = registry.catalog.type(resource)

    async def produce(old: Object | None, context: WriteContext) -> Object:
        if old is None and call.subresource:
            raise not_found(resource.gvr, call.name)
        config = read(context.warnings)
        write = registry.owners.write(resource, call.subresource, options.field_manager, context)
        if old is None:
            obj = applying.created(write, config, schema)
            uid = obj["metadata"].get("uid")
            if uid:
                why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                raise conflict(resource.gvr, call.name, why)
        else:
            obj = applying.applied(write, old, config, schema, options.force)
        incoming.settle_name(resource, call.namespace, call.name, obj)
        return obj

    return produce


async def modify(
    registry: "Registry",
    resource: Resource,
    call: Call,
    change: Callable[[Object], Object | None],
    subresource: str,
    admit: bool,
) -> Answer:
    """`Storage.modify`: a change made by the server's own code."""
    options = write_options(call.params, "UpdateOptions")

    async def produce(old: Object | None, context: WriteContext) -> Object | None:
        if old is None:
            raise not_found(resource.gvr, call.name)
        return change(codec.copy(old))

    view = resource.subresources.get(subresource)
    strategy = (view.strategy if view is not None else None) or resource.strategy
    made = Change(resource, call, options, produce, strategy, subresource, admit=admit)
    made.tracked = call.subresource == SCALE
    return await replace(registry, made)


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
            registry, resource, call, "UPDATE", call.namespace or _own(resource, call.name), call.name, context
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
