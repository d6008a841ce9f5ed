"""Evicts pods from nodes with NoExecute taints they don't tolerate (or no longer do)."""

import math
from collections.abc import Sequence

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api_core import NODES, PODS
from kubrick_controller import Context, Controller
from kubrick_controller.keys import NODE_INDEX, by_node, key_of
from kubrick_controller.pod import disruption
from kubrick_controller_taint_eviction.plan import added_at, leaves_at, no_execute, taint_key
from kubrick_kernel import Kernel, hookimpl, rfc3339

MESSAGE = "Taint manager: deleting due to NoExecute taint"


class TaintEvictionController:
    """Keys are pods. `_seen` remembers since when each node has had each taint (the taint's own timeAdded
    where it has one), `_announced` which pods an eviction is planned for."""

    name = "taint-eviction-controller"
    service_account = "node-controller"
    workers = 8

    def setup(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._clock = context.clock
        self._queue = context.queue
        self._seen: dict[str, dict[str, float]] = {}
        self._announced: set[str] = set()
        self._nodes = context.informer(NODES)
        self._pods = context.informer(PODS)
        self._pods.add_index(NODE_INDEX, by_node)
        self._pods.add_handler(added=self._pod_changed, updated=self._pod_updated)
        self._nodes.add_handler(added=self._node_added, updated=self._node_updated, deleted=self._node_gone)

    def _pod_changed(self, pod: Object) -> None:
        if self._seen.get(pod["spec"].get("nodeName", "")):
            self._queue.add(key_of(pod))

    def _pod_updated(self, old: Object, new: Object) -> None:
        if old["spec"] != new["spec"]:
            self._pod_changed(new)

    def _node_added(self, node: Object) -> None:
        self._node_updated({"spec": {}}, node)

    def _node_updated(self, old: Object, new: Object) -> None:
        before, after = no_execute(old), no_execute(new)
        if before == after:
            return
        name = new["metadata"]["name"]
        known = self._seen.get(name, {})
        now = self._clock.timestamp()
        seen = {}
        for taint in after:
            since = added_at(taint)
            seen[taint_key(taint)] = known.get(taint_key(taint), now) if since is None else since
        self._seen[name] = seen
        for pod in self._pods.by_index(NODE_INDEX, name):
            self._queue.add(key_of(pod))

    def _node_gone(self, node: Object) -> None:
        self._seen.pop(node["metadata"]["name"], None)

    async def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        pod = self._pods.get(namespace, name)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            self._announced.discard(key)
            return
        node = self._nodes.get("", pod["spec"].get("nodeName", ""))
        taints = no_execute(node) if node is not None else []
        seen = self._seen.get(pod["spec"].get("nodeName", ""), {})
        deadline = leaves_at(taints, pod["spec"].get("tolerations") or (), seen) if taints else math.inf
        if deadline == math.inf:
            if key in self._announced:
                self._announced.discard(key)
                self._event(pod, f"Cancelling deletion of Pod {key}")
            return
        self._announced.add(key)
        wait = deadline - self._clock.timestamp()
        if wait > 0:
            self._queue.add_after(key, wait)
            return
        self._event(pod, f"Marking for deletion Pod {key}")
        await self._evict(pod)

    def _event(self, pod: Object, message: str) -> None:
        self._context.recorder.event(pod, "Normal", "TaintManagerEviction", message)

    async def _evict(self, pod: Object) -> None:
        metadata = pod["metadata"]
        condition = disruption(pod, "DeletionByTaintManager", MESSAGE, rfc3339(self._clock.now()))
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
        name, namespace = metadata["name"], metadata["namespace"]
        try:
            await self._client.patch(PODS, name, patch, namespace, kind="strategic", subresource="status")
            await self._client.delete(PODS, name, namespace, uid=metadata["uid"])
        except StatusError as error:
            if error.code not in (404, 409):
                raise


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [TaintEvictionController()]
