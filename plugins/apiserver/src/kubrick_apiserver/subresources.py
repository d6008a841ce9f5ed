"""Subresources and virtual resources: views of an object, or handlers with a behaviour of their own.

A view (status, resize) goes through the ordinary update path with the subresource's strategy. A handler
(binding, eviction, scale, reviews) gets the call with its body decoded and checked; one that can get and
update is patched by applying the patch to what it gets.
"""

from typing import TYPE_CHECKING

from attrs import evolve

from kubrick_api.errors import StatusError, conflict, unknown_path
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Resource, Subresource
from kubrick_api.schema import Type
from kubrick_api.storage import Call, SubresourceHandler, WriteContext
from kubrick_apiserver import incoming, patching, read, transaction, write
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.applying import is_apply
from kubrick_apiserver.body import Body, DictBody
from kubrick_apiserver.options import WriteOptions, write_options
from kubrick_apiserver.removal import read_options

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

OPERATIONS = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}
OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
SCALE = "Scale"
VIEW_VERBS = frozenset(("update", "patch"))


async def perform(registry: "Registry", resource: Resource, call: Call, body: Body) -> Answer:
    """Any verb on a subresource. Raises StatusError."""
    from kubrick_apiserver.registry import refused

    found = resource.subresources.get(call.subresource)
    if found is None or not _served(found):
        raise unknown_path()
    if call.verb not in found.verbs:
        raise refused(resource, call)
    if found.handler is not None:
        return await _handled(registry, resource, found.kind, found.handler, found.verbs, call, body)
    strategy = found.strategy or resource.strategy
    if call.verb == "get":
        return Answer(read.fetch(registry, resource, call))
    if call.verb == "update":
        return await write.update(registry, resource, call, body, strategy)
    return await write.patch(registry, resource, call, body, strategy)


def _served(found: Subresource) -> bool:
    """Whether anything answers: a handler, or the object itself as a view."""
    return found.handler is not None or not VIEW_VERBS.isdisjoint(found.verbs)


async def perform_virtual(registry: "Registry", resource: Resource, call: Call, body: Body) -> Answer:
    """Any verb on a resource without storage."""
    from kubrick_apiserver.registry import refused

    assert resource.virtual is not None
    if call.verb not in resource.verbs:
        raise refused(resource, call)
    return await _handled(registry, resource, resource.kind, resource.virtual, resource.verbs, call, body)


async def _handled(
    registry: "Registry",
    resource: Resource,
    kind: GVK,
    handler: SubresourceHandler,
    verbs: tuple[str, ...],
    call: Call,
    body: Body,
) -> Answer:
    options = WriteOptions()
    if call.verb == "patch" and kind.kind == SCALE and is_apply(call.content_type):
        return await _applied_scale(registry, resource, kind, handler, call, body)
    if call.verb in OPTIONS:
        options = write_options(call.params, OPTIONS[call.verb])
    if call.verb == "patch" and "get" in verbs and "update" in verbs:
        return await _patched(registry, resource, kind, handler, call, body, options)
    return await _run(registry, resource, kind, handler, call, body, options)


async def _run(
    registry: "Registry",
    resource: Resource,
    kind: GVK,
    handler: SubresourceHandler,
    call: Call,
    body: Body,
    options: WriteOptions,
) -> Answer:
    """Decode, admit, and let the handler do its work."""
    context = registry.context(call.user, call.subresource, options.dry_run)
    decoded: Object | None = None
    if call.verb == "delete":
        decoded = read_options(body)
    elif call.verb in OPTIONS:
        schema = type_of(registry, resource, kind)
        if schema is None:
            decoded = body.read()
        else:
            view = resource.subresources.get(call.subresource)
            also = view.accepts if view is not None else ()
            decoded = incoming.receive(registry, kind, schema, body, options, context.warnings, also)
            _settle(resource, call, decoded)
        await _admit(registry, resource, kind, call, decoded, context)
    try:
        obj = await handler(evolve(call, body=decoded), registry, context)
    except BaseException:
        transaction.undo(context)
        raise
    return Answer(obj=obj, status=201 if call.verb == "create" else 200, warnings=context.warnings)


def _settle(resource: Resource, call: Call, obj: Object) -> None:
    """A body is in the request's namespace. One that replaces is about the object in the URL; one that is created
    below an object (a Binding, an Eviction, a TokenRequest) is compared by its handler, in words of its own."""
    if call.subresource and call.verb != "create":
        incoming.settle_name(resource, call.namespace, call.name, obj)
    elif resource.namespaced:
        incoming.settle_namespace(resource, call.namespace, obj)


async def _admit(
    registry: "Registry",
    resource: Resource,
    kind: GVK,
    call: Call,
    obj: Object | None,
    context: WriteContext,
) -> None:
    operation = OPERATIONS[call.verb]
    attributes = transaction.admission_of(registry, resource, call, operation, call.namespace, call.name, context)
    attributes.kind = kind
    attributes.object = obj
    _, record = await registry.chain.mutate(attributes)
    await registry.chain.validate(attributes, record)


async def _patched(
    registry: "Registry",
    resource: Resource,
    kind: GVK,
    handler: SubresourceHandler,
    call: Call,
    body: Body,
    options: WriteOptions,
) -> Answer:
    """PATCH as get and update, again when somebody else was faster."""
    schema = type_of(registry, resource, kind)
    if schema is None:
        raise unknown_path()
    apply = patching.applier(kind, schema, call.content_type, body, options)
    warnings: list[str] = []
    for _ in range(transaction.ATTEMPTS):
        before = await handler(evolve(call, verb="get", body=None), registry, registry.context(call.user))
        after = apply(before, warnings)
        try:
            answer = await _run(
                registry, resource, kind, handler, evolve(call, verb="update"), DictBody(after), options
            )
        except StatusError as error:
            versions = before["metadata"].get("resourceVersion"), after["metadata"].get("resourceVersion")
            if error.code != 409 or versions[0] != versions[1]:
                raise
            continue
        answer.warnings[:0] = warnings
        return answer
    raise conflict(resource.gvr, call.name)


async def _applied_scale(
    registry: "Registry", resource: Resource, kind: GVK, handler: SubresourceHandler, call: Call, body: Body
) -> Answer:
    """Server-side apply to a scale: the manager comes to own the object's replicas."""
    options = write_options(call.params, "PatchOptions", apply=True)
    schema = type_of(registry, resource, kind)
    if schema is None:
        raise unknown_path()
    config = registry.owners.scale(resource, kind, schema.name, body, options)
    get = evolve(call, verb="get", body=None)
    context = registry.context(call.user, call.subresource, options.dry_run)
    asked = {**(await handler(get, registry, context)), "spec": config.obj.get("spec") or {}}
    await _admit(registry, resource, kind, call, asked, context)
    answer = await write.apply_scale(registry, resource, call, options, config)
    if answer.obj is not None:
        return Answer(obj={**asked, "spec": answer.obj["spec"]}, warnings=answer.warnings)
    return Answer(obj=await handler(get, registry, context), warnings=answer.warnings)


def type_of(registry: "Registry", resource: Resource, kind: GVK) -> Type | None:
    """The compiled type of a subresource's kind, None when no schema has it."""
    if kind == resource.kind:
        return registry.catalog.type(resource)
    served = registry.catalog.by_kind(kind)
    if served is not None:
        return registry.catalog.type(served)
    name = f"io.k8s.api.{kind.group.partition('.')[0] or 'core'}.{kind.version}.{kind.kind}"
    try:
        return registry.catalog.schemas[name]
    except LookupError:
        return None
