"""The scale subresource: replicas of whatever has spec.replicas, as an autoscaling/v1 Scale.

Shared by ReplicationControllers, Deployments, ReplicaSets and StatefulSets. A scale's resourceVersion
is its object's; an update that names one applies only to that version.
"""

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from kubrick_api.cells import format_labels, selector_text
from kubrick_api.errors import conflict, invalid, invalid_value, not_found
from kubrick_api.names import GVK
from kubrick_api.resource import Object
from kubrick_api.storage import Call, Storage, WriteContext

SCALE = GVK("autoscaling", "v1", "Scale")
METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def selector_of(obj: Object) -> str:
    """The object's selector in the syntax of ?labelSelector=. A ReplicationController's is a plain map."""
    selector = (obj.get("spec") or {}).get("selector") or {}
    if "matchLabels" in selector or "matchExpressions" in selector:
        return selector_text(selector)
    return format_labels(selector) if selector else ""


def scale_of(obj: Object) -> Object:
    """The Scale that shows `obj`."""
    metadata = {name: obj["metadata"][name] for name in METADATA if name in obj["metadata"]}
    replicas = (obj.get("spec") or {}).get("replicas") or 0
    status = {"replicas": (obj.get("status") or {}).get("replicas") or 0, "selector": selector_of(obj)}
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": metadata,
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


@frozen
class ScaleHandler:
    """Answers get and update of <resource>/scale (the server turns a patch into the two)."""

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        obj = storage.reader.get(call.resource, call.namespace, call.name)
        if obj is None:
            raise not_found(call.resource, call.name)
        if call.verb == "get":
            return scale_of(obj)
        update = evolve(call, verb="update", body=None)
        return scale_of(await storage.modify(update, _change(call), admit=False))


def _change(call: Call) -> Callable[[Object], Object]:
    """What an update of the scale does to the object."""

    def change(obj: Object) -> Object:
        return {**obj, "spec": {**obj["spec"], "replicas": _checked(call, call.body, obj)}}

    return change


def _checked(call: Call, scale: Any, obj: Object) -> int:
    metadata = scale.get("metadata") or {}
    version, uid = metadata.get("resourceVersion"), metadata.get("uid")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise conflict(call.resource, call.name)
    if uid and uid != obj["metadata"]["uid"]:
        known = obj["metadata"]["uid"]
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {known}"
        raise conflict(call.resource, call.name, why)
    replicas = int((scale.get("spec") or {}).get("replicas") or 0)
    if replicas < 0:
        error = invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid(SCALE, call.name, [error])
    return replicas
