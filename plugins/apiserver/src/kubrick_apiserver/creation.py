"""create: parse once, decide, encode once, commit.

It goes: the object as asked → defaults → owners → mutating admission → the strategy's preparation → reservations →
validation → validating admission → commit, together with the strategy's companion objects.
"""

from typing import TYPE_CHECKING

from kubrick_api.errors import StatusError, already_exists, conflict, invalid
from kubrick_api.names import NAME_ALPHABET
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call, WriteContext
from kubrick_api.validation import object_meta
from kubrick_apiserver import incoming
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.body import Body, WebBody
from kubrick_apiserver.negotiation import JSON
from kubrick_apiserver.options import USUAL, WriteOptions, write_options
from kubrick_apiserver.ownership import settle_after_admission
from kubrick_apiserver.transaction import ATTEMPTS, admission_of, commit, shown, undo
from kubrick_kernel import Conflict, rfc3339

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

NAME_ATTEMPTS = 8
GENERATED_LIMIT = 58


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
    attributes = admission_of(
        registry, resource, call, "CREATE", namespace or own_namespace(resource, name), name, context
    )
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


def own_namespace(resource: Resource, name: str) -> str:
    """A Namespace is admitted as being in itself."""
    return name if resource.gvr.resource == "namespaces" and not resource.gvr.group else ""


def generate_name(registry: "Registry", stem: str) -> str:
    """`stem` and five random characters."""
    choices = registry.kernel.random.choices(NAME_ALPHABET, k=5)
    return stem[:GENERATED_LIMIT] + "".join(choices)
