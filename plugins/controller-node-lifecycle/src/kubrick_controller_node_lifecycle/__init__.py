"""Watches over nodes: says when one has fallen silent, taints it, and marks its pods as not ready."""

from collections.abc import Sequence

import trio

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api_coordination import LEASES
from kubrick_api_core import NODES, PODS
from kubrick_controller import Context, Controller
from kubrick_controller.keys import NODE_INDEX, by_node
from kubrick_controller_node_lifecycle.health import (
    MONITOR_SECONDS,
    Health,
    is_silent,
    observe,
    ready_condition,
    unknown_conditions,
)
from kubrick_controller_node_lifecycle.taints import (
    Bucket,
    count_zones,
    no_execute_key,
    wanted_at_once,
    wanted_no_execute,
    zone_of,
    zone_rates,
)
from kubrick_kernel import Kernel, hookimpl, rfc3339

MONITOR = "monitor"
LEASE_NAMESPACE = "kube-node-lease"


class NodeLifecycleController:
    """Keys are nodes (their NoSchedule taints and their pods' readiness), and one more for the round that
    looks at every node's health."""

    name = "node-controller"
    workers = 4

    def setup(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._clock = context.clock
        self._queue = context.queue
        self._health: dict[str, Health] = {}
        self._buckets: dict[str, Bucket] = {}
        self._nodes = context.informer(NODES)
        self._leases = context.informer(LEASES)
        self._pods = context.informer(PODS)
        self._pods.add_index(NODE_INDEX, by_node)
        self._nodes.add_handler(added=self._added, updated=self._updated, deleted=self._deleted)
        self._queue.add_after(MONITOR, MONITOR_SECONDS)

    def _added(self, node: Object) -> None:
        name = node["metadata"]["name"]
        self._queue.add(f"node/{name}")
        self._event(node, "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller")

    def _updated(self, old: Object, new: Object) -> None:
        if old["spec"] != new["spec"] or _statuses(old) != _statuses(new):
            self._queue.add(f"node/{new['metadata']['name']}")

    def _deleted(self, node: Object) -> None:
        name = node["metadata"]["name"]
        self._health.pop(name, None)
        self._event(node, "RemovingNode", f"Node {name} event: Removing Node {name} from Controller")

    def _event(self, node: Object, reason: str, message: str) -> None:
        about = {"kind": "Node", "apiVersion": "v1", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"]}
        self._context.recorder.event(about, "Normal", reason, message)

    async def reconcile(self, key: str) -> None:
        if key == MONITOR:
            self._queue.add_after(MONITOR, MONITOR_SECONDS)
            await self._monitor()
        else:
            await self._put_right(key.partition("/")[2])

    async def _put_right(self, name: str) -> None:
        """One node's NoSchedule taints; its NoExecute taint too once it is ready again; its pods."""
        node = self._nodes.get("", name)
        if node is None:
            return
        taints = wanted_at_once(node, rfc3339(self._clock.now()))
        if taints is not None:
            await self._taint(node, taints)
        ready = ready_condition(node)
        if ready is not None and ready["status"] != "True":
            await self._mark_pods(name)

    async def _taint(self, node: Object, taints: list[Object]) -> None:
        version = node["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "spec": {"taints": taints or None}}
        await self._client.patch(NODES, node["metadata"]["name"], patch, kind="merge")

    async def _mark_pods(self, name: str) -> None:
        """Pods of a node that isn't ready are not ready either, whatever they last said."""
        now = rfc3339(self._clock.now())
        for pod in self._pods.by_index(NODE_INDEX, name):
            ready = ready_condition(pod)
            if ready is None or ready["status"] != "True":
                continue
            condition = {"type": "Ready", "status": "False", "lastTransitionTime": now}
            metadata = pod["metadata"]
            patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
            self._context.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            try:
                await self._client.patch(
                    PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
                )
            except StatusError as error:
                if error.code not in (404, 409):
                    raise

    async def _monitor(self) -> None:
        """One look at every node's health; then NoExecute taints as fast as the zones allow."""
        now = trio.current_time()
        nodes = self._nodes.list()
        for node in nodes:
            name = node["metadata"]["name"]
            lease = self._leases.get(LEASE_NAMESPACE, name)
            health = self._health[name] = observe(self._health.get(name), node, lease, now)
            if is_silent(health, now):
                await self._fall_silent(node)
        rates = zone_rates(count_zones(nodes))
        for node in nodes:
            await self._empty(node, rates, now)

    async def _fall_silent(self, node: Object) -> None:
        conditions = unknown_conditions(node, rfc3339(self._clock.now()))
        if not conditions:
            return
        name = node["metadata"]["name"]
        self._event(node, "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        patch = {"status": {"conditions": conditions}}
        try:
            await self._client.patch(NODES, name, patch, kind="strategic", subresource="status")
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    async def _empty(self, node: Object, rates: dict[str, float], now: float) -> None:
        """Give a node that isn't ready its NoExecute taint, if its zone has a turn left. One that already
        has another of the two gets the right one at once."""
        key = no_execute_key(node)
        taints = wanted_no_execute(node, key, rfc3339(self._clock.now())) if key else None
        if taints is None:
            return
        zone = zone_of(node)
        bucket = self._buckets.setdefault(zone, Bucket(at=now))
        swap = len(taints) <= len(node["spec"].get("taints") or ())
        if not swap and not bucket.take(rates[zone], now):
            return
        try:
            await self._taint(node, taints)
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _statuses(node: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in node.get("status", {}).get("conditions") or ()}


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [NodeLifecycleController()]
