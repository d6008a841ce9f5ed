"""componentstatuses: how the parts of this program are, by name. Nothing is stored."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kubrick_api.errors import not_found
from kubrick_api.resource import Object, Strategy
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


@frozen
class ComponentStatuses:
    """Answers get and list from the kernel's readiness."""

    kernel: "Kernel"

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        found = {name: component_status(name, ready) for name, ready in self.kernel.readiness().items()}
        if call.verb == "list":
            return {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": list(found.values())}
        if call.name not in found:
            raise not_found(call.resource, call.name)
        return found[call.name]


def component_status(name: str, ready: bool) -> Object:
    condition = {"type": "Healthy", "status": "True" if ready else "False", "message": "ok" if ready else "not ready"}
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}
