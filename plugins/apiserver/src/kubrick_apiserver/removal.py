"""delete and deletecollection: graceful deletion, finalizers, propagation, preconditions.

Deletion is decided by the stored object, the options and the strategy's grace period (apiserver:
registry/generic and registry/rest). An object goes at once unless it has grace left or finalizers hold
it; then it is marked with a deletionTimestamp, and the update that removes the last finalizer takes it
away (`is_finished`, `finish`). A Namespace is held by spec.finalizers as well.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import define

from kubrick_api import codec
from kubrick_api.errors import StatusError, bad_request, conflict, not_found
from kubrick_api.names import GVR
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call, WriteContext
from kubrick_apiserver import read, transaction
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.body import Beyond, Body, Unreadable
from kubrick_apiserver.options import FOREGROUND, ORPHAN, DeleteOptions, delete_options, list_options
from kubrick_kernel import Conflict, Delete, Item, rfc3339

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

ORPHAN_FINALIZER, FOREGROUND_FINALIZER = "orphan", "foregroundDeletion"
NAMESPACES = GVR("", "v1", "namespaces")
RETURNS_OBJECT = frozenset(
    GVR(group, "v1", resource)
    for group, resources in (
        (
            "",
            (
                "namespaces",
                "persistentvolumeclaims",
                "persistentvolumes",
                "pods",
                "podtemplates",
                "resourcequotas",
                "serviceaccounts",
                "services",
            ),
        ),
        (
            "storage.k8s.io",
            (
                "csidrivers",
                "csinodes",
                "csistoragecapacities",
                "storageclasses",
                "volumeattachments",
                "volumeattributesclasses",
            ),
        ),
    )
    for resource in resources
)
"""Resources whose delete answers with the object; all others answer with a Status."""


@define(eq=False)
class Plan:
    """What a delete comes to: `updated` to be stored, or, when it is None, the object removed."""

    updated: Object | None = None
    done: bool = False
    """Nothing to do: the deletion that was asked for is under way."""


def plan(resource: Resource, obj: Object, options: DeleteOptions, context: WriteContext) -> Plan:
    """Decide, from the stored object (shared: it is not changed)."""
    metadata = obj["metadata"]
    finalizers = wanted_finalizers(resource, metadata.get("finalizers") or [], options)
    held = bool(finalizers) or _held_namespace(resource, obj)
    left = metadata.get("deletionGracePeriodSeconds")
    deleting = "deletionTimestamp" in metadata
    asked = options.grace_period
    if asked is not None and asked < 0:
        asked = 1
    if deleting and left:
        if asked is None or asked >= left:
            return Plan(done=True)
        grace: int | None = asked
    elif deleting:
        grace = None
    else:
        grace = resource.strategy.grace_period(obj, asked)
    if not grace and not held:
        return Plan()
    if deleting and grace is None and finalizers == (metadata.get("finalizers") or []):
        return Plan(done=True)
    return Plan(_marked(resource, obj, finalizers, grace, context))


def _marked(resource: Resource, obj: Object, finalizers: list[str], grace: int | None, context: WriteContext) -> Object:
    """The object as it is stored while its deletion is under way."""
    marked: Object = codec.copy(obj)
    metadata = marked["metadata"]
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = rfc3339(context.now + timedelta(seconds=grace or 0))
        if metadata.get("generation"):
            metadata["generation"] += 1
    elif grace is not None:
        sooner = timedelta(seconds=metadata.get("deletionGracePeriodSeconds", 0) - grace)
        metadata["deletionTimestamp"] = rfc3339(datetime.fromisoformat(metadata["deletionTimestamp"]) - sooner)
    if resource.gvr == NAMESPACES:
        marked.setdefault("status", {})["phase"] = "Terminating"
    else:
        metadata["deletionGracePeriodSeconds"] = grace or 0
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    return marked


def wanted_finalizers(resource: Resource, finalizers: list[str], options: DeleteOptions) -> list[str]:
    """The object's finalizers with the garbage collector's two as the options ask. The default policy is
    Background; what is there already stands when nothing else is asked."""
    if resource.storage.resource == "events":
        return finalizers
    orphan = ORPHAN_FINALIZER in finalizers
    foreground = FOREGROUND_FINALIZER in finalizers and not orphan
    if options.orphan_dependents is not None:
        orphan, foreground = options.orphan_dependents, False
    elif options.policy:
        orphan, foreground = options.policy == ORPHAN, options.policy == FOREGROUND
    wanted = [each for each in finalizers if each not in (ORPHAN_FINALIZER, FOREGROUND_FINALIZER)]
    if orphan:
        wanted.append(ORPHAN_FINALIZER)
    if foreground:
        wanted.append(FOREGROUND_FINALIZER)
    return finalizers if set(wanted) == set(finalizers) else wanted


def _held_namespace(resource: Resource, obj: Object) -> bool:
    return resource.gvr == NAMESPACES and bool(obj.get("spec", {}).get("finalizers"))


def is_finished(resource: Resource, obj: Object, old: Object) -> bool:
    """Whether an update to `obj` completes a deletion that was waiting for finalizers."""
    metadata = old["metadata"]
    if "deletionTimestamp" not in metadata or obj["metadata"].get("finalizers"):
        return False
    if resource.gvr == NAMESPACES:
        return not _held_namespace(resource, obj)
    return bool(metadata.get("deletionGracePeriodSeconds") == 0)


async def delete(registry: "Registry", resource: Resource, call: Call, body: Body) -> Answer:
    """DELETE of one object. Raises StatusError."""
    return await delete_one(registry, resource, call, delete_options(call.params, read_options(body)))


def read_options(body: Body) -> Object | None:
    """The DeleteOptions in a body, if there is one. Raises 500 where kube-apiserver does: it passes its decoder's
    error on as it is."""
    try:
        options: Object | None = body.read()
    except Beyond as error:
        raise bad_request(str(error)) from None
    except Unreadable as error:
        raise StatusError(500, "", error.decoding) from None
    return options


async def delete_one(registry: "Registry", resource: Resource, call: Call, options: DeleteOptions) -> Answer:
    key = resource.key(call.namespace, call.name)
    item = registry.topic(resource).get(key)
    for _ in range(transaction.ATTEMPTS):
        if item is None:
            raise not_found(resource.gvr, call.name)
        context = registry.context(call.user, dry_run=options.dry_run)
        try:
            return await _attempt(registry, resource, call, options, item, context)
        except Conflict as race:
            item = race.current if race.key == key else registry.topic(resource).get(key)
        finally:
            transaction.undo(context)
    raise conflict(resource.gvr, call.name)


async def _attempt(
    registry: "Registry", resource: Resource, call: Call, options: DeleteOptions, item: Item, context: WriteContext
) -> Answer:
    obj = registry.decode(resource, item)
    check_preconditions(resource, obj, options)
    await _admit(registry, resource, call, obj, options, context)
    decided = plan(resource, obj, options, context)
    status = 202 if options.orphan_dependents is False else 200
    if decided.done:
        return Answer(item, status=status)
    if decided.updated is not None:
        if context.dry_run:
            return Answer(obj=decided.updated, status=status)
        key = resource.key(call.namespace, call.name)
        written = await transaction.commit(registry, resource, key, decided.updated, item.revision, context)
        context.on_failure.clear()
        return Answer(written, status=status)
    return await finish(registry, resource, call, item, obj, context, shown=obj)


async def finish(
    registry: "Registry",
    resource: Resource,
    call: Call,
    item: Item,
    obj: Object,
    context: WriteContext,
    shown: Object | None = None,
) -> Answer:
    """Take the object away. `obj` is its last state; a delete shows it or a Status, an update itself."""
    answer = Answer(obj=obj if call.verb not in ("delete", "deletecollection") else removed(resource, obj))
    answer.warnings = context.warnings
    await resource.strategy.release(obj, context)
    if context.dry_run:
        return answer
    operation = Delete(item.key, item.revision)
    await transaction.write(registry, (operation, *(transaction.companions(registry, context) if context.also else ())))
    context.on_failure.clear()
    return answer


def removed(resource: Resource, obj: Object) -> Object:
    """What a completed delete answers with."""
    if resource.gvr in RETURNS_OBJECT:
        return obj
    details: Object = {"name": obj["metadata"]["name"]}
    if resource.gvr.group:
        details["group"] = resource.gvr.group
    details["kind"] = resource.gvr.resource
    details["uid"] = obj["metadata"].get("uid", "")
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def check_preconditions(resource: Resource, obj: Object, options: DeleteOptions) -> None:
    """Raises 409 unless the object is the one that was meant."""
    metadata = obj["metadata"]
    named = GVR(resource.gvr.group, resource.gvr.version, resource.kind.kind)
    if options.uid and options.uid != metadata.get("uid"):
        found = metadata.get("uid", "")
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({found}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict(named, metadata["name"], why)
    if options.resource_version and options.resource_version != metadata["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
            f"ResourceVersion in record ({metadata['resourceVersion']}). The object might have been modified"
        )
        raise conflict(named, metadata["name"], why)


async def _admit(
    registry: "Registry", resource: Resource, call: Call, obj: Object, options: DeleteOptions, context: WriteContext
) -> None:
    name = obj["metadata"]["name"]
    namespace = obj["metadata"].get("namespace") or (name if resource.gvr == NAMESPACES else "")
    attributes = transaction.admission_of(registry, resource, call, "DELETE", namespace, name, context)
    attributes.old_object = obj
    attributes.options = _shown(options)
    _, record = await registry.chain.mutate(attributes)
    await registry.chain.validate(attributes, record)


def _shown(options: DeleteOptions) -> Object:
    shown: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    if options.grace_period is not None:
        shown["gracePeriodSeconds"] = options.grace_period
    if options.policy:
        shown["propagationPolicy"] = options.policy
    if options.dry_run:
        shown["dryRun"] = ["All"]
    return shown


async def delete_collection(registry: "Registry", resource: Resource, call: Call, body: Body) -> Answer:
    """DELETE of all objects that a selection matches; answers with the list of what they were."""
    selection = list_options(call.params)
    options = delete_options(call.params, read_options(body))
    found = await read.page(registry, resource, call, selection)
    objects = []
    for item in found.items:
        obj = registry.decode(resource, item)
        metadata = obj["metadata"]
        one = Call(
            "deletecollection",
            call.resource,
            metadata.get("namespace", ""),
            metadata["name"],
            params=call.params,
            user=call.user,
        )
        try:
            await delete_one(registry, resource, one, options)
        except StatusError as error:
            if error.code != 404:
                raise
        objects.append(obj)
    return Answer(
        obj={
            "kind": resource.list_kind,
            "apiVersion": resource.kind.api_version,
            "metadata": read.list_metadata(found),
            "items": objects,
        }
    )


__all__ = ["delete", "delete_collection", "finish", "is_finished", "plan"]
