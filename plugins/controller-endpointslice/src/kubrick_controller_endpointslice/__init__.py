"""Keeps the EndpointSlices of every service with a selector."""

from collections.abc import Sequence

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api.resource import Object
from kubrick_api_core import NODES, PODS, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_controller import Context, Controller
from kubrick_controller.backends import selects
from kubrick_controller.keys import key_of
from kubrick_controller.services import ServiceWatch
from kubrick_controller_endpointslice.plan import CONTROLLER, MANAGED_BY, SERVICE_NAME, ZONE, Plan, plan
from kubrick_kernel import Kernel, hookimpl


class EndpointSliceController:
    """Keys are services."""

    name = "endpointslice-controller"
    workers = 5

    def setup(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._queue = context.queue
        self._zones: dict[str, str] = {}
        self._written: dict[str, dict[str, int]] = {}
        self._services = context.informer(SERVICES)
        self._pods = context.informer(PODS)
        self._nodes = context.informer(NODES)
        self._slices = context.informer(ENDPOINT_SLICES)
        self._slices.add_index("service", _service_of)
        self._watch = ServiceWatch(self._services, self._pods, self._queue, context.clock)
        self._slices.add_handler(self._slice_seen, self._slice_updated, self._slice_gone)
        self._nodes.add_handler(self._node_changed, lambda old, new: self._node_changed(new), self._node_gone)

    def _slice_seen(self, existing: Object) -> None:
        for key in _service_of(existing):
            if self._written.get(key):
                self._queue.add(key)

    def _slice_updated(self, old: Object, new: Object) -> None:
        if old["metadata"].get("labels") != new["metadata"].get("labels"):
            self._slice_gone(old)
        for key in _service_of(new):
            self._queue.add(key)

    def _slice_gone(self, existing: Object) -> None:
        for key in _service_of(existing):
            self._written.get(key, {}).pop(existing["metadata"]["name"], None)
            self._queue.add(key)

    def _is_stale(self, key: str, namespace: str) -> bool:
        """Whether the cache still lacks something we wrote; what we see of it brings the key back."""
        written = self._written.get(key, {})
        for name, version in list(written.items()):
            seen = self._slices.get(namespace, name)
            if seen is None or int(seen["metadata"]["resourceVersion"]) < version:
                return True
            del written[name]
        self._written.pop(key, None)
        return False

    def _node_changed(self, node: Object) -> None:
        name = node["metadata"]["name"]
        zone = (node["metadata"].get("labels") or {}).get(ZONE, "")
        if self._zones.get(name, "") != zone:
            self._zones[name] = zone
            for service in self._services.list():
                self._queue.add(key_of(service))

    def _node_gone(self, node: Object) -> None:
        self._zones.pop(node["metadata"]["name"], None)

    async def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        service = self._services.get(namespace, name)
        if service is None or "deletionTimestamp" in service["metadata"]:
            self._written.pop(key, None)
            return  # the garbage collector removes a service's slices
        if self._is_stale(key, namespace):
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        pods = [pod for pod in self._pods.list(namespace) if selects(service, pod)]
        slices = [s for s in self._slices.by_index("service", key) if "deletionTimestamp" not in s["metadata"]]
        slices.sort(key=lambda s: s["metadata"]["name"])
        todo = plan(service, pods, slices, self._zones, self._watch.triggered(key))
        try:
            await self._apply(key, todo, namespace)
        except StatusError as error:
            if error.has_cause(NAMESPACE_TERMINATING):
                return
            if error.code not in (404, 409):
                message = f"Error updating Endpoint Slices for Service {key}: {error.message}"
                self._context.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", message)
            raise

    async def _apply(self, key: str, todo: Plan, namespace: str) -> None:
        for wanted in todo.create:
            self._remember(key, await self._client.create(ENDPOINT_SLICES, wanted, namespace))
        for wanted in todo.update:
            self._remember(key, await self._client.update(ENDPOINT_SLICES, wanted))
        for existing in todo.delete:
            metadata = existing["metadata"]
            await self._client.delete(ENDPOINT_SLICES, metadata["name"], namespace, uid=metadata["uid"])

    def _remember(self, key: str, written: Object) -> None:
        metadata = written["metadata"]
        self._written.setdefault(key, {})[metadata["name"]] = int(metadata["resourceVersion"])


def _service_of(existing: Object) -> list[str]:
    """The key of the service a slice of ours belongs to."""
    labels = existing["metadata"].get("labels") or {}
    if labels.get(MANAGED_BY) != CONTROLLER or SERVICE_NAME not in labels:
        return []
    return [f"{existing['metadata']['namespace']}/{labels[SERVICE_NAME]}"]


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [EndpointSliceController()]
