"""Keeps an Endpoints object for every service with a selector."""

from collections.abc import Sequence

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api.resource import Object
from kubrick_api_core import ENDPOINTS, PODS, SERVICES
from kubrick_controller import Context, Controller
from kubrick_controller.backends import Selectors, matters_to_endpoints, selects
from kubrick_controller.keys import key_of
from kubrick_controller_endpoints.plan import wanted
from kubrick_kernel import Kernel, hookimpl, rfc3339


class EndpointsController:
    """Keys are services."""

    name = "endpoint-controller"
    workers = 5

    def setup(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._queue = context.queue
        self._selectors = Selectors()
        self._triggers: dict[str, str] = {}
        self._services = context.informer(SERVICES)
        self._pods = context.informer(PODS)
        self._endpoints = context.informer(ENDPOINTS)
        self._services.add_handler(self._service_added, self._service_updated, self._service_gone)
        self._pods.add_handler(self._pod_changed, self._pod_updated, self._pod_changed)
        self._endpoints.add_handler(deleted=lambda endpoints: self._queue.add(key_of(endpoints)))

    def _service_added(self, service: Object) -> None:
        self._selectors.put(service)
        self._triggers.setdefault(key_of(service), service["metadata"].get("creationTimestamp", ""))
        self._queue.add(key_of(service))

    def _service_updated(self, old: Object, new: Object) -> None:
        self._selectors.put(new)
        self._queue.add(key_of(new))

    def _service_gone(self, service: Object) -> None:
        self._selectors.drop(service)
        self._triggers.pop(key_of(service), None)
        self._queue.add(key_of(service))

    def _pod_changed(self, pod: Object) -> None:
        for key in self._selectors.of(pod):
            self._triggers[key] = rfc3339(self._context.clock.now())
            self._queue.add(key)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if matters_to_endpoints(old, new):
            self._pod_changed(new)
            if old["metadata"].get("labels") != new["metadata"].get("labels"):
                self._pod_changed(old)

    async def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        service = self._services.get(namespace, name)
        found = self._endpoints.get(namespace, name)
        if service is None:
            if found is not None and "deletionTimestamp" not in found["metadata"]:
                await self._client.delete(ENDPOINTS, name, namespace, uid=found["metadata"]["uid"])
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        pods = [pod for pod in self._pods.list(namespace) if selects(service, pod)]
        endpoints = wanted(service, pods, found, self._triggers.get(key, ""))
        if endpoints is None:
            return
        try:
            if found is None:
                await self._client.create(ENDPOINTS, endpoints, namespace)
            else:
                await self._client.update(ENDPOINTS, endpoints)
        except StatusError as error:
            if error.has_cause(NAMESPACE_TERMINATING):
                return
            if error.code not in (404, 409):
                what = "create" if found is None else "update"
                message = f"Failed to {what} endpoint {key}: {error.message}"
                self._context.recorder.event(service, "Warning", f"FailedTo{what.title()}Endpoint", message)
            raise


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [EndpointsController()]
