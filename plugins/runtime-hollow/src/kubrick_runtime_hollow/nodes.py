"""The component "hollow-nodes": N nodes in one process, sharing one watch of all pods."""

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import trio
from attrs import field, frozen
from attrs.validators import ge

from kubrick_api.errors import StatusError
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import label_value, name_is_dns_subdomain, qualified_name
from kubrick_api_core import PODS
from kubrick_client import EventRecorder, Informer, connect
from kubrick_kernel import ConfigurationError, Kernel
from kubrick_node.agent import NodeAgent
from kubrick_node.register import Machine
from kubrick_runtime_hollow.runtime import INFO, Addresses, HollowRuntime

if TYPE_CHECKING:
    from kubrick_api_core.agents import Agent
    from kubrick_node.serving.service import PodService

KUBELET_VERSION = "v1.36.0+kubrick"
FIRST_HOST = 2


def _quantity(_settings: Any, about: Any, value: str) -> None:
    """Raises ValueError."""
    try:
        good = Quantity(value) >= ZERO
    except ValueError as error:
        raise ValueError(f"{about.name}: {value!r}: {error}") from None
    if not good:
        raise ValueError(f"{about.name}: {value!r} is negative")


def _name(_settings: Any, about: Any, value: str) -> None:
    """Raises ValueError."""
    for wrong in name_is_dns_subdomain(value, prefix=False):
        raise ValueError(f"{about.name}: {value!r}: {wrong}")


def _labels(_settings: Any, about: Any, value: dict[str, str]) -> None:
    """Raises ValueError."""
    for key, text in value.items():
        for wrong in (*qualified_name(key), *label_value(text)):
            raise ValueError(f"{about.name}: {key!r} = {text!r}: {wrong}")


@frozen
class Settings:
    """The hollow nodes: how many, what they claim to have, and where their pods' addresses come from
    (a /24 a node out of `pod_cidr`; nodes themselves are numbered through `node_cidr`)."""

    nodes: int = 3
    name: str = field(default="node", validator=_name)
    cpu: str = field(default="32", validator=_quantity)
    memory: str = field(default="256Gi", validator=_quantity)
    ephemeral_storage: str = field(default="1Ti", validator=_quantity)
    pods: int = field(default=110, validator=ge(0))
    pod_cidr: str = "10.128.0.0/9"
    node_cidr: str = "172.16.0.0/12"
    labels: dict[str, str] = field(factory=dict, validator=_labels)


class HollowNodes:
    """Runs the nodes. `stop` and `start` make one fall silent and come back, as a machine would."""

    name = "hollow-nodes"
    requires: tuple[str, ...] = ("apiserver?",)

    def __init__(self, kernel: Kernel, settings: Settings) -> None:
        self._kernel = kernel
        self._settings = settings
        self._machines = {machine.name: machine for machine in machines(settings)}
        self._agents: dict[str, NodeAgent] = {}
        self._scopes: dict[str, trio.CancelScope] = {}
        self._runtimes: dict[str, HollowRuntime] = {}
        self._services: dict[str, tuple[NodeAgent, PodService]] = {}
        self._nursery: trio.Nursery | None = None
        self._pods: Informer | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._machines)

    def agent(self, node: str) -> "Agent | None":
        """`NodeConnector.agent`."""
        if node not in self._machines:
            return None
        agent = self._agents.get(node)
        if agent is None:
            raise StatusError(500, "InternalError", f"error dialing backend: the hollow node {node} is stopped")
        known = self._services.get(node)
        if known is None or known[0] is not agent:
            from kubrick_node.serving.paths import AgentPaths
            from kubrick_node.serving.service import PodService

            clock = self._kernel.clock
            service = PodService(lambda: agent.pods, self._runtimes[node], clock)
            AgentPaths(node, service, clock)
            known = self._services[node] = agent, service
        return known[1]

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        client = connect(self._kernel, "system:node:hollow-nodes", ("system:nodes",))
        self._pods = Informer(client, PODS, field_selector="spec.nodeName!=")
        self._pods.add_handler(added=self._changed, updated=self._updated, deleted=self._gone)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await nursery.start(self._pods.run)
                async with trio.open_nursery() as starting:
                    for name in self._machines:
                        starting.start_soon(self.start, name)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def start(self, name: str) -> None:
        """Bring the node up (again); returns when it has registered."""
        if self._nursery is None:
            raise RuntimeError("the component hollow-nodes is not running")
        await self._nursery.start(self._run_node, self._machine(name))

    def stop(self, name: str) -> None:
        """The node falls silent: no heartbeat, no status, nothing done to its pods."""
        self._machine(name)
        scope = self._scopes.get(name)
        if scope is not None:
            scope.cancel()

    def _machine(self, name: str) -> Machine:
        machine = self._machines.get(name)
        if machine is None:
            raise KeyError(f"no hollow node {name!r}; there are {', '.join(self._machines)}")
        return machine

    async def _run_node(self, machine: Machine, task_status: trio.TaskStatus[None]) -> None:
        kernel = self._kernel
        client = connect(kernel, f"system:node:{machine.name}", ("system:nodes",))
        recorder = EventRecorder(client, "kubelet", machine.name)
        runtime = self._runtimes.get(machine.name)
        if runtime is None:
            addresses = Addresses(IPv4Network(machine.pod_cidr))
            runtime = HollowRuntime(addresses, kernel.clock, kernel.random)
            self._runtimes[machine.name] = runtime
        agent = NodeAgent(machine, client, runtime, recorder, kernel.clock, kernel.random)
        self._agents[machine.name] = agent
        for pod in self._pods.list() if self._pods else ():
            if pod["spec"].get("nodeName") == machine.name:
                agent.pod_changed(pod)
        try:
            with trio.CancelScope() as scope:
                self._scopes[machine.name] = scope
                async with trio.open_nursery() as nursery:
                    await nursery.start(recorder.run)
                    await nursery.start(agent.run)
                    task_status.started()
        finally:
            if self._agents.get(machine.name) is agent:
                del self._agents[machine.name], self._scopes[machine.name]

    def _changed(self, pod: Object) -> None:
        agent = self._agents.get(pod["spec"].get("nodeName", ""))
        if agent is not None:
            agent.pod_changed(pod)

    def _updated(self, old: Object, new: Object) -> None:
        self._changed(new)

    def _gone(self, pod: Object) -> None:
        agent = self._agents.get(pod["spec"].get("nodeName", ""))
        if agent is not None:
            agent.pod_gone(pod)


def machines(settings: Settings) -> list[Machine]:
    """What each node claims to be. Raises ConfigurationError when they don't fit."""
    try:
        pods, nodes = IPv4Network(settings.pod_cidr), IPv4Network(settings.node_cidr)
    except ValueError as error:
        raise ConfigurationError(
            f"[plugins.runtime-hollow] pod_cidr and node_cidr must be IPv4 ranges: {error}"
        ) from None
    room = min(2 ** max(24 - pods.prefixlen, 0) if pods.prefixlen <= 24 else 0, nodes.num_addresses - FIRST_HOST - 1)
    if not 0 <= settings.nodes <= room:
        raise ConfigurationError(
            f"[plugins.runtime-hollow] nodes = {settings.nodes}: pod_cidr and node_cidr have room for 0 to {room}"
        )
    resources = {
        "cpu": settings.cpu,
        "ephemeral-storage": settings.ephemeral_storage,
        "memory": settings.memory,
        "pods": str(settings.pods),
    }
    subnet = int(pods.network_address)
    return [
        Machine(
            name=f"{settings.name}-{index + 1}",
            internal_ip=str(nodes.network_address + FIRST_HOST + index),
            capacity=resources,
            allocatable=resources,
            runtime=INFO,
            kubelet_version=KUBELET_VERSION,
            labels=settings.labels,
            os_image="hollow",
            kernel_version="0",
            machine_id=f"{settings.name}-{index + 1}",
            pod_cidr=str(IPv4Network((subnet + index * 256, 24))),
        )
        for index in range(settings.nodes)
    ]
