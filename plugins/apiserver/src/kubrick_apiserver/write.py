"""update, patch and apply: what each makes of the stored object. How that is written: `replacement`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubrick_api import codec
from kubrick_api.errors import conflict, not_found
from kubrick_api.fields.apply import Config
from kubrick_api.resource import Object, Resource, Strategy
from kubrick_api.storage import Call, WriteContext
from kubrick_apiserver import applying, incoming, patching
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.applying import is_apply
from kubrick_apiserver.body import Body
from kubrick_apiserver.options import WriteOptions, write_options
from kubrick_apiserver.replacement import Change, Produce, replace

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

SCALE = "scale"
"""The one subresource with a handler whose writes are owned as if they were made to the object."""


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
