"""Feeds the graph from informers of every resource that can be deleted, and acts on what is worth a look.

The informers' copies decide, and every write is guarded by the uid and resourceVersion they showed: a
decision made on a stale copy fails and is made again. An owner that the informers have not shown is
asked for, and an answer that it is absent is remembered, since uids never come back.
"""

from collections import OrderedDict
from collections.abc import Callable

import trio

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import Object
from kubrick_client import Informer
from kubrick_controller import Context
from kubrick_controller_garbage_collector.graph import FOREGROUND, ORPHAN, Graph, Node, Owner, Work, is_true
from kubrick_controller_garbage_collector.plan import (
    OwnerState,
    decide,
    wait,
    without_finalizer,
    without_owner,
)

IGNORED = {"events"}
NEEDED = {"list", "watch", "delete"}
REMEMBERED = 500
LOOK = "look/"
ORPHANS = "orphan/"


class GarbageCollector:
    """The control loop over all owner references. Keys are "look/<uid>" and "orphan/<uid>"."""

    name = "generic-garbage-collector"
    workers = 20

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.graph = Graph()
        self.informers: dict[GVR, Informer] = {}
        self._absent: OrderedDict[tuple[str, Owner], None] = OrderedDict()

    def setup(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        for resource in self.catalog.resources():
            if resource.stored_as is None and set(resource.verbs) >= NEEDED and resource.gvr.resource not in IGNORED:
                informer = self.informers[resource.gvr] = context.informer(resource.gvr)
                informer.add_handler(*self._handlers(resource.gvr))

    def _handlers(
        self, resource: GVR
    ) -> tuple[Callable[[Object], None], Callable[[Object, Object], None], Callable[[Object], None]]:
        def added(obj: Object) -> None:
            self._enqueue(self.graph.observe(Node.of(resource, obj)))

        def updated(old: Object, new: Object) -> None:
            before, after = old["metadata"], new["metadata"]
            if before["uid"] != after["uid"]:
                deleted(old)
            elif (
                before.get("ownerReferences") == after.get("ownerReferences")
                and before.get("finalizers") == after.get("finalizers")
                and ("deletionTimestamp" in before) == ("deletionTimestamp" in after)
            ):
                return
            added(new)

        def deleted(obj: Object) -> None:
            self._enqueue(self.graph.remove(obj["metadata"]["uid"]))

        return added, updated, deleted

    def _enqueue(self, work: Work) -> None:
        for uid in work.look:
            self.context.queue.add(LOOK + uid)
        for uid in work.orphan:
            self.context.queue.add(ORPHANS + uid)
        for child, owner in work.out_of_reach:
            self._complain(child, owner)

    def _complain(self, child: Node, owner: Owner) -> None:
        named = (
            f"[{owner.api_version}/{owner.kind}, namespace: {child.namespace}, name: {owner.name}, uid: {owner.uid}]"
        )
        about = {
            "kind": child.kind,
            "apiVersion": child.api_version,
            "namespace": child.namespace,
            "name": child.name,
            "uid": child.uid,
        }
        message = f'ownerRef {named} does not exist in namespace "{child.namespace}"'
        self.context.recorder.event(about, "Warning", "OwnerRefInvalidNamespace", message)

    async def reconcile(self, key: str) -> None:
        work, _, uid = key.partition("/")
        node = self.graph.nodes.get(uid)
        obj = self._object(node) if node is not None else None
        if node is None or obj is None:
            return
        try:
            if f"{work}/" == ORPHANS:
                await self._orphan(node, obj)
            elif node.foreground:
                await self._wait(node, obj)
            elif not node.deleting:
                await self._decide(node, obj)
        except StatusError as error:
            if error.code != 404:  # gone already: its event will follow
                raise

    def _object(self, node: Node) -> Object | None:
        """The informer's copy of a node."""
        obj = self.informers[node.resource].get(node.namespace, node.name)
        return obj if obj is not None and obj["metadata"]["uid"] == node.uid else None

    async def _decide(self, node: Node, obj: Object) -> None:
        owners = {owner.uid: await self._state(node, owner) for owner in node.owners}
        decision = decide(obj, owners, self.graph.dependents(node.uid))
        if decision.owners is not None:
            await self._patch(node, obj, {"ownerReferences": decision.owners})
        if decision.unblock is not None:
            obj = await self._patch(node, obj, {"ownerReferences": decision.unblock})
        if decision.delete is not None:
            await self.client.delete(
                node.resource,
                node.name,
                node.namespace,
                propagation_policy=decision.delete,
                uid=node.uid,
                resource_version=obj["metadata"]["resourceVersion"],
            )

    async def _state(self, child: Node, owner: Owner) -> OwnerState:
        found = self.graph.nodes.get(owner.uid)
        if found is not None and is_true(child, owner, found):
            return OwnerState.WAITING if found.foreground else OwnerState.SOLID
        if (child.namespace, owner) in self._absent:
            return OwnerState.ABSENT
        group, _, version = owner.api_version.rpartition("/")
        resource = self.catalog.by_kind(GVK(group, version, owner.kind))
        if resource is None:
            return OwnerState.SOLID
        if resource.namespaced and not child.namespace:
            self._complain(child, owner)
            return OwnerState.INVALID
        try:
            live = await self.client.get(resource.gvr, owner.name, child.namespace if resource.namespaced else "")
        except StatusError as error:
            if error.code != 404:
                raise
            return self._remember(child.namespace, owner)
        metadata = live["metadata"]
        if metadata["uid"] != owner.uid:
            return self._remember(child.namespace, owner)
        waiting = "deletionTimestamp" in metadata and FOREGROUND in (metadata.get("finalizers") or ())
        return OwnerState.WAITING if waiting else OwnerState.SOLID

    def _remember(self, namespace: str, owner: Owner) -> OwnerState:
        self._absent[namespace, owner] = None
        if len(self._absent) > REMEMBERED:
            self._absent.popitem(last=False)
        return OwnerState.ABSENT

    async def _wait(self, node: Node, obj: Object) -> None:
        """Foreground: delete the dependents, and when none of them blocks any more, let the object go."""
        waiting = wait(node, self.graph.dependents(node.uid))
        if waiting.free:
            await self._patch(node, obj, {"finalizers": without_finalizer(obj, FOREGROUND)})
        for uid in waiting.blocked_by:
            self.context.queue.add(LOOK + uid)

    async def _orphan(self, node: Node, obj: Object) -> None:
        """Take the reference to it off every dependent, then let the object go."""
        if not node.orphaning:
            return
        failures: list[StatusError] = []

        async def release(child: Node, copy: Object) -> None:
            try:
                await self._patch(child, copy, {"ownerReferences": without_owner(copy, node.uid)})
            except StatusError as error:
                if error.code != 404:
                    failures.append(error)

        async with trio.open_nursery() as nursery:
            for child in self.graph.dependents(node.uid):
                copy = self._object(child)
                if copy is not None:
                    nursery.start_soon(release, child, copy)
        if failures:
            raise failures[0]
        await self._patch(node, obj, {"finalizers": without_finalizer(obj, ORPHAN)})

    async def _patch(self, node: Node, obj: Object, metadata: Object) -> Object:
        """Change metadata, provided that the object is still as the informer showed it."""
        guard = {"uid": node.uid, "resourceVersion": obj["metadata"]["resourceVersion"]}
        return await self.client.patch(node.resource, node.name, {"metadata": {**guard, **metadata}}, node.namespace)
