"""What every write ends with: admission's view of it, and one transaction with its companion objects."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api import codec
from kubrick_api.errors import internal
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call, WriteContext
from kubrick_apiserver.admission import Attributes
from kubrick_apiserver.options import WriteOptions
from kubrick_kernel import Committed, Conflict, Delete, Item, Put, StoreError

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

ATTEMPTS = 100
"""How often a write that named no version is tried again after losing a race."""


def shown(options: WriteOptions) -> Object:
    """Options as webhooks and plugins see them."""
    shown: Object = {}
    if options.dry_run:
        shown["dryRun"] = ["All"]
    if options.field_manager:
        shown["fieldManager"] = options.field_manager
    if options.force:
        shown["force"] = True
    if options.field_validation:
        shown["fieldValidation"] = options.field_validation
    return shown


def admission_of(
    registry: "Registry",
    resource: Resource,
    call: Call,
    operation: str,
    namespace: str,
    name: str,
    context: WriteContext,
) -> Attributes:
    """The admission attributes of a write; the caller fills in objects and options."""
    return Attributes(
        operation=operation,
        resource=resource.gvr,
        kind=resource.kind,
        namespace=namespace,
        name=name,
        subresource=context.subresource,
        object=None,
        old_object=None,
        options={},
        dry_run=context.dry_run,
        user=call.user,
        reader=registry.reader,
        storage=registry,
        warnings=context.warnings,
    )


def undo(context: WriteContext) -> None:
    """The write does not happen: give back what was reserved."""
    while context.on_failure:
        context.on_failure.pop()()


async def commit(
    registry: "Registry", resource: Resource, key: bytes, obj: Object, expect: int, context: WriteContext
) -> Item:
    """Write `obj` and its companions in one transaction. Raises Conflict."""
    stored = resource
    if resource.stored_as is not None:
        stored = registry.stored_resource(resource)
        obj = resource.to_storage(obj)
    value, stamp = codec.encode(obj, stored)
    put = Put(key, value, expect, stamp, resource.strategy.event_ttl)
    committed = await write(registry, (put, *(companions(registry, context) if context.also else ())))
    while context.on_success:
        context.on_success.pop()()
    item = committed.items[0]
    assert item is not None
    return item


async def write(registry: "Registry", operations: Sequence[Put | Delete]) -> Committed:
    """One transaction. Raises Conflict; what else keeps the store from writing (a full disk, say) is nobody's but the
    server's fault: StatusError 500."""
    try:
        return await registry.bus.commit(operations)
    except Conflict:
        raise
    except StoreError as error:
        raise internal(str(error)) from None


def companions(registry: "Registry", context: WriteContext) -> list[Put | Delete]:
    """The operations of `context.also`."""
    operations: list[Put | Delete] = []
    for also in context.also:
        resource = registry.resource(also.resource)
        key = resource.key(also.namespace, also.name)
        if also.obj is None:
            operations.append(Delete(key))
            continue
        metadata = {"uid": registry.kernel.uuid(), "creationTimestamp": registry.now(), **also.obj.get("metadata", {})}
        metadata["name"] = also.name
        if resource.namespaced:
            metadata["namespace"] = also.namespace
        made = {**also.obj, "metadata": metadata}
        registry.owners.accompanied(resource, made, context)
        value, stamp = codec.encode(made, registry.stored_resource(resource))
        operations.append(Put(key, value, 0, stamp))
    return operations
