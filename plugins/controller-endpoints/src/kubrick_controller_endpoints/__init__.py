"""Keeps an Endpoints object for every service with a selector."""

from collections.abc import Sequence

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api_core import ENDPOINTS, PODS, SERVICES
from kubrick_controller import Context, Controller
from kubrick_controller.backends import selects
from kubrick_controller.keys import key_of
from kubrick_controller.services import ServiceWatch
from kubrick_controller_endpoints.plan import wanted
from kubrick_kernel import Kernel, hookimpl


class EndpointsController:
    """Keys are services."""

    name = "endpoint-controller"
    workers = 5

    def setup(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._queue = context.queue
        self._services = context.informer(SERVICES)
        self._pods = context.informer(PODS)
        self._endpoints = context.informer(ENDPOINTS)
        self._watch = ServiceWatch(self._services, self._pods, self._queue, context.clock)
        self._endpoints.add_handler(deleted=lambda endpoints: self._queue.add(key_of(endpoints)))

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
        endpoints = wanted(service, pods, found, self._watch.triggered(key))
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
