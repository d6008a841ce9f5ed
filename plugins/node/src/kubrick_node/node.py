"""The component "node": this machine as a node of the cluster, on whatever `ContainerRuntime` a plugin offers.

Without one (a composition of hollow nodes only) it has nothing to do and is done at once.
"""

import math
import shutil
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from kubrick_api_core import PODS, SERVICES
from kubrick_client import Client, EventRecorder, Informer, connect
from kubrick_kernel import ConfigurationError, Kernel
from kubrick_node import machine as facts
from kubrick_node.agent import NodeAgent
from kubrick_node.cgroups import Cgroups
from kubrick_node.images import Images
from kubrick_node.mirrors import StaticPods
from kubrick_node.place import Place
from kubrick_node.references import References
from kubrick_node.register import Condition, Machine
from kubrick_node.runtime import ContainerRuntime
from kubrick_node.serving.open import Serving, address_of
from kubrick_node.settings import Settings
from kubrick_node.statics import is_mirror
from kubrick_node.surroundings import Surroundings
from kubrick_node.tokens import Tokens
from kubrick_node.upkeep import Upkeep, wanted_thresholds
from kubrick_node.volumes import VolumePlugin

Object = dict[str, Any]

END_SECONDS = 60.0
"""How long ending all pods may take when the program ends."""


class Node:
    """Runs the agent. `agent` and `machine` are there once it has started."""

    name = "node"
    requires: tuple[str, ...] = ("apiserver?", "machine?", "network?", "containerd?", "proxy-guard?")

    def __init__(self, kernel: Kernel, settings: Settings) -> None:
        self._kernel = kernel
        self._settings = settings
        self._statics: StaticPods | None = None
        self._nursery: trio.Nursery | None = None
        self.agent: NodeAgent | None = None
        self.machine: Machine | None = None

    @property
    def root(self) -> Path:
        """Where everything of pods stands."""
        if self._kernel.data_dir is None:
            raise ConfigurationError("[plugins.node] a node needs a data directory: add --data-dir")
        return Path(self._kernel.data_dir).resolve() / "node"

    @property
    def node_name(self) -> str:
        return self._settings.name or socket.gethostname().lower()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        if not self._kernel.has(ContainerRuntime):
            task_status.started()
            return
        runtime = self._kernel.find(ContainerRuntime)
        root = self.root
        root.mkdir(parents=True, exist_ok=True)
        alive = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            # The runtime outlives this component's cancellation: pods are ended through it.
            await nursery.start(_within, alive, runtime.run)
            try:
                await self._run_agent(runtime, task_status)
            finally:
                alive.cancel()

    async def _run_agent(self, runtime: ContainerRuntime, task_status: trio.TaskStatus[None]) -> None:
        kernel, settings = self._kernel, self._settings
        server = Serving.open(kernel, settings, self.node_name)
        self.machine = self._describe(runtime, server.port if server is not None else 0)
        client = connect(kernel, f"system:node:{self.node_name}", ("system:nodes",))
        pods = Informer(client, PODS, field_selector=f"spec.nodeName={self.node_name}")
        services = Informer(client, SERVICES)
        references = References(client, self._stir)
        recorder = EventRecorder(client, "kubelet", self.node_name)
        upkeep = Upkeep(settings, self.root, runtime)
        cgroups = self._cgroups((await runtime.health()).cgroup_driver)
        around = self._surroundings(self.machine, runtime, client, references, services, cgroups)
        agent = NodeAgent(
            self.machine,
            client,
            runtime,
            recorder,
            kernel.clock,
            kernel.random,
            around,
            partial(_condition, runtime, upkeep),
            settings.allowed_sysctls,
        )
        self.agent = agent
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if settings.static_pods:
                    self._statics = self._static_pods(client, agent)
                self._watch_pods(pods, agent)
                for run in (references.run, services.run, recorder.run, pods.run):
                    await nursery.start(run)
                await agent.clean()
                if server is not None:
                    await nursery.start(server.run, agent, runtime, client)
                await nursery.start(agent.run)
                nursery.start_soon(upkeep.serve, agent, around)
                if self._statics is not None:
                    nursery.start_soon(self._statics.run)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self.agent = None
            # Only at an ordered end: an agent that crashes finds its pods again.
            if trio.current_effective_deadline() == -math.inf and not settings.keep_pods:
                with trio.move_on_after(END_SECONDS, shield=True):
                    await self._end_pods(runtime, around, cgroups)

    def _surroundings(
        self,
        machine: Machine,
        runtime: ContainerRuntime,
        client: Client,
        references: References,
        services: Informer,
        cgroups: Cgroups | None,
    ) -> Surroundings:
        return Surroundings(
            self._place(machine),
            runtime,
            references,
            Tokens(client, self._kernel.clock),
            services,
            self._volume_plugins(),
            Images(runtime, self._settings.image_pulls),
            cgroups,
            self._settings.max_container_restart_period,
        )

    def _stir(self, uid: str) -> None:
        if self.agent is not None:
            self.agent.stir(uid)

    def _static_pods(self, client: Client, agent: NodeAgent) -> StaticPods:
        folder = Path(self._settings.static_pods)
        start, stop, lives, mirrored = agent.pod_changed, agent.pod_gone, agent.has_worker, agent.report_again
        statics = StaticPods(folder, self.node_name, client, lambda: agent.node, start, stop, lives, mirrored)
        statics.look()
        agent.statuses.shown = statics.shown
        return statics

    def _watch_pods(self, pods: Informer, agent: NodeAgent) -> None:
        def changed(pod: Object) -> None:
            if not is_mirror(pod):
                agent.pod_changed(pod)
            elif self._statics is not None and self._nursery is not None:
                self._statics.saw(pod)
                self._nursery.start_soon(self._statics.settle, pod)

        def gone(pod: Object) -> None:
            if not is_mirror(pod):
                agent.pod_gone(pod)
            elif self._statics is not None:
                self._statics.lost(pod)

        pods.add_handler(added=changed, updated=lambda old, new: changed(new), deleted=gone)

    def _describe(self, runtime: ContainerRuntime, port: int) -> Machine:
        settings = self._settings
        capacity, allocatable = facts.resources(facts.read_facts(self.root), settings.pods, wanted_thresholds(settings))
        return Machine(
            name=self.node_name,
            internal_ip=address_of(settings),
            capacity=capacity,
            allocatable=allocatable,
            runtime=runtime.info,
            kubelet_version=facts.KUBELET_VERSION,
            labels=settings.labels,
            architecture=facts.architecture(),
            os_image=facts.os_image(),
            kernel_version=facts.kernel_version(),
            machine_id=facts.machine_id(),
            pod_cidr=settings.pod_cidr,
            boot_id=facts.boot_id(),
            system_uuid=facts.system_uuid(),
            port=port,
        )

    def _place(self, machine: Machine) -> Place:
        settings = self._settings
        return Place(
            self.root,
            machine.name,
            machine.internal_ip,
            machine.allocatable,
            tuple(settings.cluster_dns),
            settings.cluster_domain,
            Path(settings.resolv_conf) if settings.resolv_conf else None,
        )

    def _cgroups(self, driver: str) -> Cgroups | None:
        """None where systemd (or nobody) makes them."""
        return Cgroups(self._settings.cgroups) if self._settings.cgroups and driver == "cgroupfs" else None

    def _volume_plugins(self) -> list[VolumePlugin]:
        """Those of other plugins first: they may take a kind over."""
        found: list[VolumePlugin] = []
        own: list[VolumePlugin] = []
        for plugin, register in self._kernel.plugins.implementers("kubrick_register_volumes"):
            (own if plugin == "node" else found).extend(register(self._kernel))
        return found + own

    async def _end_pods(self, runtime: ContainerRuntime, around: Surroundings, cgroups: Cgroups | None) -> None:
        """Leave nothing behind: no process, no mount, no folder."""
        for pod in await runtime.list_pods():
            state = await runtime.observe(pod)
            if state.sandbox_id:
                await runtime.stop_sandbox(pod, state.sandbox_id)
            await runtime.remove(pod)
        for uid in around.known_uids():
            await around.forget_orphan(uid)
        if cgroups is not None:
            cgroups.remove_all()
        shutil.rmtree(self.root / "pods", ignore_errors=True)


async def _condition(runtime: ContainerRuntime, upkeep: Upkeep) -> Condition:
    health = await runtime.health()
    images = await runtime.list_images() if health.ready else ()
    return Condition(
        "" if health.ready else health.message,
        await upkeep.pressures(),
        images,
        health.handlers,
        health.recursive_read_only,
        health.strict_groups,
    )


async def _within(
    scope: trio.CancelScope,
    run: Callable[..., Awaitable[None]],
    task_status: trio.TaskStatus[None],
) -> None:
    with scope:
        await run(task_status=task_status)
