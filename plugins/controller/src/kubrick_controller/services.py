"""Queues a service when it or a pod behind it changes, and remembers when that was.

What the endpoint controllers share: both reconcile services, and both write into what they make when the
change that caused it happened.
"""

from kubrick_api.resource import Object
from kubrick_client import Informer
from kubrick_controller.backends import Selectors, matters_to_endpoints
from kubrick_controller.contract import Queue
from kubrick_controller.keys import key_of
from kubrick_kernel import Clock, rfc3339


class ServiceWatch:
    """Adds the keys of services to `queue`. Make it in a controller's `setup`."""

    def __init__(self, services: Informer, pods: Informer, queue: Queue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._selectors = Selectors()
        self._triggers: dict[str, str] = {}
        services.add_handler(self._service_added, self._service_updated, self._service_gone)
        pods.add_handler(self._pod_changed, self._pod_updated, self._pod_changed)

    def triggered(self, key: str) -> str:
        """When the last change that concerns the service happened (RFC 3339), "" if that is not known."""
        return self._triggers.get(key, "")

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
            self._triggers[key] = rfc3339(self._clock.now())
            self._queue.add(key)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if matters_to_endpoints(old, new):
            self._pod_changed(new)
            if old["metadata"].get("labels") != new["metadata"].get("labels"):
                self._pod_changed(old)
