"""Empties terminating namespaces: pods first, and only when they are gone everything else; then finalizes.

It looks again when a pod of such a namespace goes, and after an estimate of how long the rest takes.
"""

import trio

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Object, Resource
from kubrick_api_core import NAMESPACES, PODS
from kubrick_client import Informer
from kubrick_controller import Context
from kubrick_controller_namespace.plan import Found, conditions
from kubrick_kernel.clock import rfc3339

FINALIZER = "kubernetes"


class NamespaceController:
    """The control loop of terminating namespaces. Keys are their names."""

    name = "namespace-controller"
    workers = 10

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def setup(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        self.namespaces: Informer = context.informer(NAMESPACES)
        self.pods: Informer = context.informer(PODS)
        self.namespaces.add_handler(self._touched, lambda _, new: self._touched(new))
        self.pods.add_handler(deleted=self._pod_deleted)

    def _touched(self, namespace: Object) -> None:
        if "deletionTimestamp" in namespace["metadata"]:
            self.context.queue.add(namespace["metadata"]["name"])

    def _pod_deleted(self, pod: Object) -> None:
        name = pod["metadata"]["namespace"]
        namespace = self.namespaces.get("", name)
        if namespace is not None and "deletionTimestamp" in namespace["metadata"] and not self.pods.list(name):
            self.context.queue.add(name)

    async def reconcile(self, key: str) -> None:
        try:
            namespace = await self.client.get(NAMESPACES, key)
        except StatusError as error:
            if error.code == 404:
                return
            raise
        if "deletionTimestamp" not in namespace["metadata"]:
            return
        finalizers = namespace.get("spec", {}).get("finalizers") or []
        if FINALIZER not in finalizers:
            return
        found = await self._empty(key)
        namespace = await self._write_conditions(namespace, found)
        if not found.empty:
            if found.failures:
                self.context.queue.add_rate_limited(key)
            else:
                self.context.queue.add_after(key, found.again)
            return
        rest = [each for each in finalizers if each != FINALIZER]
        body = {**namespace, "spec": {**namespace.get("spec", {}), "finalizers": rest}}
        await self.client.update(NAMESPACES, body, subresource="finalize")

    async def _empty(self, namespace: str) -> Found:
        """Delete what can be deleted now, and say what is left."""
        found = Found()
        pods = self.catalog.resource(PODS)
        if pods is not None:
            await self._clear(pods, namespace, found)
            if found.remaining:
                return found
        async with trio.open_nursery() as nursery:
            for resource in self.catalog.resources():
                if resource.gvr != PODS and self._holds_content(resource):
                    nursery.start_soon(self._clear, resource, namespace, found)
        return found

    @staticmethod
    def _holds_content(resource: Resource) -> bool:
        return resource.namespaced and resource.stored_as is None and {"list", "delete"} <= set(resource.verbs)

    async def _clear(self, resource: Resource, namespace: str, found: Found) -> None:
        try:
            items = await self._items(resource.gvr, namespace)
            if not items:
                return
            if "deletecollection" in resource.verbs:
                await self.client.delete_collection(resource.gvr, namespace, propagation_policy="Background")
            else:
                for item in items:
                    await self._delete(resource.gvr, item["metadata"]["name"], namespace)
            found.note(resource.gvr, await self._items(resource.gvr, namespace))
        except StatusError as error:
            if error.code not in (404, 405):  # the resource is not served any more
                found.failures.append(str(error))

    async def _items(self, resource: GVR, namespace: str) -> list[Object]:
        items: list[Object] = (await self.client.list(resource, namespace)).get("items") or []
        return items

    async def _delete(self, resource: GVR, name: str, namespace: str) -> None:
        try:
            await self.client.delete(resource, name, namespace, propagation_policy="Background")
        except StatusError as error:
            if error.code != 404:
                raise

    async def _write_conditions(self, namespace: Object, found: Found) -> Object:
        status = namespace.get("status", {})
        made = conditions(namespace, found, rfc3339(self.context.clock.now()))
        if made == status.get("conditions"):
            return namespace
        if found.empty and "conditions" not in status:
            return namespace  # it goes at once: nobody would see them
        body = {**namespace, "status": {**status, "conditions": made}}
        return await self.client.update(NAMESPACES, body, subresource="status")
