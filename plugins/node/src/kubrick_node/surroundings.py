"""What a pod needs around its containers on a real machine: volumes, environment, hosts file, DNS. Thin: every
decision is elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import trio
from attrs import define, field

from kubrick_kernel import get_logger
from kubrick_node.actions import Actions
from kubrick_node.cgroups import Cgroups
from kubrick_node.environment import BadEnvironment, World, environment, service_variables
from kubrick_node.hosts import kernel_hostname, pod_hostname
from kubrick_node.images import Images
from kubrick_node.mounts import mounts
from kubrick_node.place import Place
from kubrick_node.plan import BACKOFF_LIMIT, StartContainer
from kubrick_node.qos import CgroupLimits
from kubrick_node.references import References, environment_references, pod_references
from kubrick_node.resolv import Resolution, parse_resolv_conf, resolve
from kubrick_node.runtime import (
    ContainerRuntime,
    ContainerSpec,
    PodState,
    RuntimeFailure,
    SandboxSpec,
)
from kubrick_node.tokens import Tokens
from kubrick_node.volumes import Mounted, VolumeFailure, VolumeJob, VolumePlugin
from kubrick_node.volumes.kinds import remove_tree
from kubrick_node.volumes.ownership import fs_group, fs_user
from kubrick_node.volumes.payload import text_of
from kubrick_node.volumes.subpath import read_beneath

log = get_logger("node")

Object = dict[str, Any]
Propagation = Literal["None", "HostToContainer", "Bidirectional"]

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 122.0


class Services(Protocol):
    """The services there are (an informer of them)."""

    def get(self, namespace: str, name: str) -> Object | None: ...

    def list(self, namespace: str = "") -> list[Object]: ...


@define(eq=False)
class PodVolumes:
    """One pod's volumes as they are now. `dirty` names those to set up again."""

    mounted: dict[str, Mounted] = field(factory=dict)
    dirty: set[str] = field(factory=set)
    pause: float = 0.0
    failed: dict[str, str] = field(factory=dict)


class Surroundings:
    """One node's. `sources` of volumes: it is one itself. `restart_limit` is the longest pause between restarts of a
    container that crashes, in seconds."""

    def __init__(
        self,
        place: Place,
        runtime: ContainerRuntime,
        references: References,
        tokens: Tokens,
        services: Services,
        plugins: Sequence[VolumePlugin],
        images: Images,
        cgroups: Cgroups | None = None,
        restart_limit: float = BACKOFF_LIMIT,
    ) -> None:
        self.restart_limit = restart_limit
        self.place = place
        self.runtime = runtime
        self.images = images
        self.actions = Actions(runtime, place.host_ip)
        self._references = references
        self._tokens = tokens
        self._services = services
        self._plugins = tuple(plugins)
        self._cgroups = cgroups
        self._volumes: dict[str, PodVolumes] = {}
        self._pods: dict[str, Object] = {}

    # Sources of volumes

    @property
    def allocatable(self) -> dict[str, str]:
        return dict(self.place.allocatable)

    async def config_map(self, namespace: str, name: str) -> Object | None:
        return await self._references.get("ConfigMap", namespace, name)

    async def secret(self, namespace: str, name: str) -> Object | None:
        return await self._references.get("Secret", namespace, name)

    async def token(self, pod: Object, audience: str, seconds: int) -> tuple[str, float]:
        return await self._tokens.token(pod, audience, seconds)

    # Volumes

    def directory(self, uid: str) -> Path:
        return self.place.directory(uid)

    def mounted(self, uid: str) -> Mapping[str, Mounted]:
        """A pod's volumes that are up, by name."""
        volumes = self._volumes.get(uid)
        return volumes.mounted if volumes is not None else {}

    def stir(self, uid: str) -> None:
        """Something the pod refers to has changed, or the pod itself."""
        volumes = self._volumes.get(uid)
        if volumes is not None:
            volumes.dirty.update(name for name, one in volumes.mounted.items() if one.live)
            volumes.pause = 0.0

    async def keep_up(self, pod: Object) -> float:
        """Have the pod's volumes up and current; answers when (trio time) to come again. Raises VolumeFailure with
        all that is missing; `failures` says what, by volume."""
        uid = pod["metadata"]["uid"]
        volumes = self._volumes.get(uid)
        if volumes is None:
            volumes = self._volumes[uid] = PodVolumes()
            self._pods[uid] = pod
            self._hold(pod)
        now = trio.current_time()
        volumes.failed.clear()
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            mounted = volumes.mounted.get(name)
            if mounted is not None and name not in volumes.dirty and now < mounted.refresh_at:
                continue
            try:
                volumes.mounted[name] = await self._set_up(pod, volume)
                volumes.dirty.discard(name)
            except VolumeFailure as failure:
                volumes.failed[name] = str(failure)
        missing = [name for name in volumes.failed if name not in volumes.mounted]
        if volumes.failed:
            volumes.pause = min(max(volumes.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        else:
            volumes.pause = 0.0
        again_at = now + volumes.pause if volumes.pause else float("inf")
        if missing:
            raise VolumeFailure(", ".join(missing))
        return min([again_at, *(mounted.refresh_at for mounted in volumes.mounted.values())])

    def failures(self, uid: str) -> tuple[Mapping[str, str], float]:
        """Volumes that could not be set up, and how long to wait before the next try."""
        volumes = self._volumes[uid]
        return volumes.failed, volumes.pause

    def pod_changed(self, pod: Object) -> None:
        """Another version of a pod that is known: it may refer to other things."""
        if pod["metadata"]["uid"] in self._volumes:
            self._hold(pod)
            self.stir(pod["metadata"]["uid"])

    def _hold(self, pod: Object) -> None:
        wanted = pod_references(pod)
        for volume in pod["spec"].get("volumes") or ():
            plugin = self._plugin_of(volume)
            if plugin is not None:
                wanted.update(plugin.references(volume))
        self._references.hold(pod, wanted)

    def _plugin_of(self, volume: Object) -> VolumePlugin | None:
        return next((plugin for plugin in self._plugins if plugin.supports(volume)), None)

    async def _set_up(self, pod: Object, volume: Object) -> Mounted:
        plugin = self._plugin_of(volume)
        if plugin is None:
            kind = next((key for key in volume if key != "name"), "emptyDir")
            raise VolumeFailure(f"no volume plugin matched: {kind}")
        directory = self._volume_directory(pod["metadata"]["uid"], plugin, volume["name"])
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        except OSError as error:
            raise VolumeFailure(f"{error.filename}: {error.strerror}") from None
        return await plugin.set_up(VolumeJob(pod, volume, directory, self, fs_group(pod), fs_user(pod)))

    def _volume_directory(self, uid: str, plugin: VolumePlugin, name: str) -> Path:
        return self.directory(uid) / "volumes" / plugin.name.replace("/", "~") / name

    # Sandboxes and containers

    def sandbox_spec(self, pod: Object) -> tuple[SandboxSpec, Resolution]:
        """What the sandbox needs, and what the pod should be warned of."""
        place = self.place
        try:
            host = parse_resolv_conf(place.resolv_conf.read_text() if place.resolv_conf else "")
        except OSError:
            host = parse_resolv_conf("")
        resolution = resolve(pod, host, place.cluster_dns, place.cluster_domain)
        hostname, domain = pod_hostname(pod, place.cluster_domain, place.node_name)
        name = "" if pod["spec"].get("hostNetwork") else kernel_hostname(pod, hostname, domain)
        return SandboxSpec(
            name, resolution.dns, cgroup_parent=self._cgroups.parent(pod) if self._cgroups is not None else ""
        ), resolution

    def processes(self, pod: Object) -> int:
        """How many the pod has, as far as that is known."""
        return self._cgroups.processes(pod) if self._cgroups is not None else 0

    def make_cgroup(self, pod: Object) -> None:
        """Before the sandbox. Raises RuntimeFailure."""
        if self._cgroups is None:
            return
        try:
            self._cgroups.make(pod, self._pods.values())
        except OSError as error:
            text = f"failed to ensure that the pod: {pod['metadata']['uid']} cgroups exist and are correctly applied: "
            raise RuntimeFailure("FailedCreatePodContainer", f"{text}{error}") from None

    def limit_cgroup(self, pod: Object, limits: CgroupLimits) -> None:
        """Change what the pod's cgroup allows. Raises OSError."""
        self._pods[pod["metadata"]["uid"]] = pod
        if self._cgroups is not None:
            self._cgroups.limit(pod, limits)
            self._cgroups.balance(self._pods.values())

    async def pull_secrets(self, pod: Object) -> list[Object]:
        """The secrets of imagePullSecrets that there are."""
        found = []
        for one in pod["spec"].get("imagePullSecrets") or ():
            try:
                secret = await self.secret(pod["metadata"]["namespace"], one.get("name", ""))
            except VolumeFailure:
                continue
            if secret is not None:
                found.append(secret)
        return found

    async def container_spec(
        self, pod: Object, action: StartContainer, state: PodState, warn: Callable[[str, str], None]
    ) -> ContainerSpec:
        """Everything a container is started with. `warn` takes reason and message of events. Raises RuntimeFailure
        with reason CreateContainerConfigError."""
        container = action.container
        try:
            made = environment(pod, container, await self._world(pod, container, state.ips))
        except (BadEnvironment, VolumeFailure) as error:
            raise RuntimeFailure("CreateContainerConfigError", str(error)) from None
        for kind, where, keys in made.skipped:
            listed = ", ".join(keys)
            text = f"Keys [{listed}] from the EnvFrom {kind} {where} were skipped since they are considered invalid "
            warn("InvalidEnvironmentVariableNames", text + "environment variable names.")
        uid, deep = pod["metadata"]["uid"], await self._deep_mounts(pod, container)
        return ContainerSpec(
            pod,
            container,
            state.sandbox_id,
            action.role,
            action.attempt,
            tuple(made.variables.items()),
            made.command(container),
            made.args(container),
            tuple(mounts(self.place, self.mounted(uid), pod, container, state.ips, made.variables, deep)),
            self.sandbox_spec(pod)[0],
        )

    async def _world(self, pod: Object, container: Object, ips: Sequence[str]) -> World:
        namespace = pod["metadata"]["namespace"]
        found: dict[tuple[str, str], dict[str, str]] = {}
        for reference in set(environment_references(container)):
            get = self.config_map if reference.kind == "ConfigMap" else self.secret
            obj = await get(namespace, reference.name)
            if obj is not None:
                found[reference.kind, reference.name] = text_of(obj)
        links = pod["spec"].get("enableServiceLinks", True)
        kubernetes = self._services.get("default", "kubernetes")
        seen = self._services.list(namespace) if links else []
        services = service_variables([*([kubernetes] if kubernetes else []), *seen], namespace, links)
        place = self.place
        return World(
            lambda name: found.get(("ConfigMap", name)),
            lambda name: found.get(("Secret", name)),
            services,
            place.allocatable,
            place.host_ip,
            (place.host_ip,) if pod["spec"].get("hostNetwork") else ips,
            partial(self._file, pod),
        )

    def _file(self, pod: Object, volume: str, path: str) -> tuple[str, str]:
        """A file of a volume, for `World.file`."""
        there = self.mounted(pod["metadata"]["uid"]).get(volume)
        if there is None:
            raise BadEnvironment(f'cannot find the volume "{volume}" referenced by FileKeyRef')
        return str(there.path / path), read_beneath(there.path, path)

    async def runtime_handler(self, pod: Object) -> str:
        """Which of the runtime's handlers runs the pod. Raises RuntimeFailure."""
        return await self._references.runtime_handler(pod["spec"].get("runtimeClassName") or "")

    async def _deep_mounts(self, pod: Object, container: Object) -> bool:
        """Whether mounts can be read-only all the way down; asked only where it matters."""
        wanted = any(mount.get("recursiveReadOnly") for mount in container.get("volumeMounts") or ())
        return wanted and await self.runtime_handler(pod) in (await self.runtime.health()).recursive_read_only

    # The end

    async def release(self, pod: Object) -> None:
        """Take the pod's volumes down and forget what it referred to."""
        uid = pod["metadata"]["uid"]
        self._volumes.pop(uid, None)
        self._references.release(pod)
        self._tokens.forget(uid)
        self._pods.pop(uid, None)
        if self._cgroups is not None:
            self._cgroups.remove(pod)
        await self._take_down(uid)

    async def forget(self, pod: Object) -> None:
        """The pod is gone: nothing of it stays."""
        uid = pod["metadata"]["uid"]
        await self.release(pod)
        await self.forget_orphan(uid)

    async def _take_down(self, uid: str) -> None:
        directory = self.directory(uid)
        if not directory.exists():
            return
        await remove_tree(directory / "subpaths")
        volumes = directory / "volumes"
        by_folder = {plugin.name.replace("/", "~"): plugin for plugin in self._plugins}
        for folder in sorted(volumes.iterdir()) if volumes.exists() else ():
            plugin = by_folder.get(folder.name)
            for one in sorted(path for path in folder.iterdir() if path.is_dir()):
                if plugin is not None:
                    await plugin.tear_down(one)
        await remove_tree(volumes)

    def known_uids(self) -> list[str]:
        """Pods there is anything of on disk."""
        pods = self.place.pods
        return sorted(path.name for path in pods.iterdir()) if pods.exists() else []

    async def forget_orphan(self, uid: str) -> None:
        """Take down what a pod left that nobody knows any more."""
        await self._take_down(uid)
        await remove_tree(self.directory(uid))
