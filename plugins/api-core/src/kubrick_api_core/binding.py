"""pods/binding and bindings: a scheduler says where a pod runs.

From pkg/registry/core/pod/storage: the node is set once, on a pod that is not being deleted and that
no scheduling gate holds back; labels and annotations of the binding go along.
"""

from collections.abc import Callable
from datetime import datetime

from attrs import evolve

from kubrick_api.errors import StatusError, bad_request, conflict, not_supported, required
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api.storage import Call, Storage, WriteContext
from kubrick_api_core.names import PODS
from kubrick_kernel import rfc3339

BINDING = GVR("", "v1", "pods/binding")
"""How refusals call it."""


async def bind(call: Call, storage: Storage, context: WriteContext) -> Object:
    """Answers POST of a Binding with a Status of success."""
    binding = call.body or {}
    metadata, target = binding.get("metadata") or {}, binding.get("target") or {}
    name = metadata.get("name") or ""
    if call.subresource and name != call.name:
        raise bad_request("name in URL does not match name in Binding object")
    _check(target)
    pod_call = evolve(call, verb="update", resource=PODS, name=name, subresource="binding", body=None)
    change = _assign(name, metadata, target["name"], context.now)
    await storage.modify(pod_call, change, subresource="binding", admit=False)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _check(target: Object) -> None:
    errors = []
    if target.get("kind") not in (None, "", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    if errors:
        texts = [str(error) for error in errors]
        raise StatusError(500, "", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")


def _assign(name: str, metadata: Object, node: str, now: datetime) -> Callable[[Object], Object]:
    def change(pod: Object) -> Object:
        current = pod["metadata"]
        uid = metadata.get("uid")
        if uid and uid != current["uid"]:
            raise conflict(
                PODS,
                name,
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {current['uid']}",
            )
        version = metadata.get("resourceVersion")
        if version and version != current["resourceVersion"]:
            raise conflict(
                PODS,
                name,
                "Precondition failed: ResourceVersion in precondition: "
                f"{version}, ResourceVersion in object meta: {current['resourceVersion']}",
            )
        if current.get("deletionTimestamp"):
            raise conflict(BINDING, name, f"pod {name} is being deleted, cannot be assigned to a host")
        spec = pod["spec"]
        if spec.get("nodeName"):
            raise conflict(BINDING, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
        if spec.get("schedulingGates"):
            raise conflict(BINDING, name, f"pod {name} has non-empty .spec.schedulingGates")
        spec["nodeName"] = node
        for kind in ("labels", "annotations"):
            if metadata.get(kind):
                current[kind] = {**(current.get(kind) or {}), **metadata[kind]}
        set_condition(pod.setdefault("status", {}), {"type": "PodScheduled", "status": "True"}, now)
        return pod

    return change


def set_condition(status: Object, condition: Object, now: datetime) -> None:
    """Add or replace a pod condition; its transition time moves only when its status does."""
    conditions = status.setdefault("conditions", [])
    fresh = {"lastTransitionTime": rfc3339(now), **condition}
    for i, old in enumerate(conditions):
        if old.get("type") == condition["type"]:
            if old.get("status") == condition["status"]:
                fresh["lastTransitionTime"] = old.get("lastTransitionTime")
            conditions[i] = fresh
            return
    conditions.append(fresh)
