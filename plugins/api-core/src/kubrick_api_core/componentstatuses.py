"""componentstatuses: how the parts of this program are, by the names kube-apiserver has for them. Nothing is stored.

Unlike there, a name that isn't known is a 404 (kube-apiserver: 500, "Component not found"), and a part that this
composition doesn't have isn't shown as unhealthy.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kubrick_api.errors import not_found
from kubrick_api.resource import Object, Strategy
from kubrick_api.selectors import FieldSelector, LabelSelector, SelectorError
from kubrick_api.storage import Call, Storage, WriteContext

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


class ComponentStatusStrategy(Strategy):
    def row(self, obj: Object, now: datetime) -> list[Any]:
        healthy = next((c for c in obj.get("conditions") or () if c.get("type") == "Healthy"), None)
        if healthy is None:
            return [obj["metadata"]["name"], "Unknown", "", ""]
        status = "Healthy" if healthy.get("status") == "True" else "Unhealthy"
        return [obj["metadata"]["name"], status, healthy.get("message") or "", healthy.get("error") or ""]


NAMES = {"store": "etcd-0", "scheduler": "scheduler", "controllers": "controller-manager"}
"""What this program's parts are called, and what Kubernetes calls what does their work."""


@frozen
class ComponentStatuses:
    """Answers get and list from the kernel's readiness."""

    kernel: "Kernel"

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        found = {
            NAMES[name]: component_status(NAMES[name], ready)
            for name, ready in self.kernel.readiness().items()
            if name in NAMES
        }
        if call.verb == "list":
            items = [obj for name, obj in sorted(found.items()) if _selected(call, name)]
            return {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
        if call.name not in found:
            raise not_found(call.resource, call.name)
        return found[call.name]


def _selected(call: Call, name: str) -> bool:
    """Whether the call's selectors take a component, which has a name and no labels. Raises StatusError 400."""
    try:
        fields = FieldSelector.parse(call.params.get("fieldSelector", ""))
        labels = LabelSelector.parse(call.params.get("labelSelector", ""))
    except SelectorError as error:
        raise error.status() from None
    return fields.matches({"metadata.name": name}) and labels.matches({})


def component_status(name: str, ready: bool) -> Object:
    condition = {"type": "Healthy", "status": "True" if ready else "False", "message": "ok" if ready else "not ready"}
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}
