"""The kinds of volume every Kubernetes has. Thin: payload.py says which files, atomic.py writes them.

Secrets and tokens stand on tmpfs, so that they never reach a disk.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from kubrick_api.quantity import Quantity
from kubrick_kernel import Clock
from kubrick_node.volumes import mounting, payload
from kubrick_node.volumes.atomic import BadPath, write_files
from kubrick_node.volumes.contract import Mounted, Reference, VolumeFailure, VolumeJob, VolumePlugin
from kubrick_node.volumes.ownership import give_to_group

Object = dict[str, Any]

SMALL = 100
"""Entries of a tree that is removed faster than a thread is started."""


async def remove_tree(directory: Path) -> None:
    """Unmount and remove everything in it; in a thread when it is much. Raises VolumeFailure while anything is still
    mounted there."""
    if _is_small(directory):
        mounting.remove_tree(directory)
    else:
        await trio.to_thread.run_sync(mounting.remove_tree, directory)


def _is_small(directory: Path) -> bool:
    entries = 0
    for _, folders, files in os.walk(directory):
        entries += len(folders) + len(files)
        if entries > SMALL:
            return False
    return True


class EmptyDir:
    """Room on the node's disk, or in its memory, for as long as the pod lives."""

    name = "kubernetes.io/empty-dir"

    def supports(self, volume: Object) -> bool:
        return "emptyDir" in volume

    def references(self, volume: Object) -> Sequence[Reference]:
        return ()

    async def set_up(self, job: VolumeJob) -> Mounted:
        source = job.volume["emptyDir"] or {}
        medium = source.get("medium") or ""
        if medium == "Memory":
            mounting.mount_tmpfs(job.directory, memory_size(job.pod, source, job.sources.allocatable))
        elif medium:
            raise VolumeFailure(f'unknown storage medium "{medium}"')
        ready = job.directory.parent / f".{job.directory.name}.ready"
        if not ready.exists():
            job.directory.chmod(0o777)
            if job.fs_group is not None:
                give_to_group(job.directory, job.fs_group)
            ready.touch()
        return Mounted(job.directory)

    async def tear_down(self, directory: Path) -> None:
        (directory.parent / f".{directory.name}.ready").unlink(missing_ok=True)
        await remove_tree(directory)


def memory_size(pod: Object, source: Object, allocatable: dict[str, str]) -> int | None:
    """How big a memory-backed volume may grow: the least of its limit, the containers' and the node's memory."""
    bounds = []
    limit = Quantity(source.get("sizeLimit") or "0").value
    if limit:
        bounds.append(limit)
    memory = [((c.get("resources") or {}).get("limits") or {}).get("memory") for c in pod["spec"]["containers"]]
    amounts = [Quantity(text).value for text in memory if text]
    if len(amounts) == len(memory):
        bounds.append(sum(amounts))
    if "memory" in allocatable:
        bounds.append(Quantity(allocatable["memory"]).value)
    return min(bounds, default=None)


class HostPath:
    """A file or folder of the machine."""

    name = "kubernetes.io/host-path"

    def supports(self, volume: Object) -> bool:
        return "hostPath" in volume

    def references(self, volume: Object) -> Sequence[Reference]:
        return ()

    async def set_up(self, job: VolumeJob) -> Mounted:
        source = job.volume["hostPath"]
        path = Path(source["path"])
        check_host_path(path, source.get("type") or "")
        return Mounted(path)

    async def tear_down(self, directory: Path) -> None:
        """Nothing: the path is the machine's own."""


def check_host_path(path: Path, kind: str) -> None:
    """Make or check what is at `path`, as the hostPath type says. Raises VolumeFailure."""
    try:
        if kind == "DirectoryOrCreate":
            if not path.exists():
                path.mkdir(parents=True, mode=0o755)
            kind = "Directory"
        elif kind == "FileOrCreate":
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644))
            kind = "File"
        if not kind:
            return
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = 0
    except OSError as error:
        raise VolumeFailure(f"{error.filename}: {error.strerror}") from None
    tests = {
        "Directory": (stat.S_ISDIR, "a directory"),
        "File": (stat.S_ISREG, "a file"),
        "Socket": (stat.S_ISSOCK, "a socket file"),
        "CharDevice": (stat.S_ISCHR, "a character device"),
        "BlockDevice": (stat.S_ISBLK, "a block device"),
    }
    if kind not in tests:
        raise VolumeFailure(f'hostPath type check failed: unknown type "{kind}"')
    is_right, words = tests[kind]
    if not is_right(mode):
        raise VolumeFailure(f"hostPath type check failed: {path} is not {words}")


class _Shown:
    """Volumes whose files come from elsewhere. `files` is what a kind adds."""

    name = ""
    in_memory = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def files(self, job: VolumeJob) -> tuple[payload.Files, float]:
        """The files, and when to look again."""
        raise NotImplementedError

    async def set_up(self, job: VolumeJob) -> Mounted:
        files, refresh_at = await self.files(job)
        if self.in_memory:
            mounting.mount_tmpfs(job.directory)
        group = job.fs_group

        def own(directory: Path) -> None:
            if group is not None:
                give_to_group(directory, group, read_only=True)

        try:
            write_files(job.directory, files, f"{self._clock.now():%Y_%m_%d_%H_%M_%S.%f}", own)
            if group is not None and os.geteuid() == 0:
                os.chown(job.directory, -1, group)
        except BadPath as error:
            raise VolumeFailure(str(error)) from None
        except OSError as error:
            raise VolumeFailure(f"{error.filename or job.directory}: {error.strerror}") from None
        return Mounted(job.directory, refresh_at, live=True, read_only=True)

    async def tear_down(self, directory: Path) -> None:
        await remove_tree(directory)


class ConfigMapVolume(_Shown):
    name = "kubernetes.io/configmap"
    in_memory = False

    def supports(self, volume: Object) -> bool:
        return "configMap" in volume

    def references(self, volume: Object) -> Sequence[Reference]:
        return (Reference("ConfigMap", volume["configMap"].get("name", "")),)

    async def files(self, job: VolumeJob) -> tuple[payload.Files, float]:
        source = job.volume["configMap"]
        found = await job.sources.config_map(job.pod["metadata"]["namespace"], source.get("name", ""))
        return payload.entries("configmap", source, found, _default_mode(source)), float("inf")


class SecretVolume(_Shown):
    name = "kubernetes.io/secret"

    def supports(self, volume: Object) -> bool:
        return "secret" in volume

    def references(self, volume: Object) -> Sequence[Reference]:
        return (Reference("Secret", volume["secret"].get("secretName", "")),)

    async def files(self, job: VolumeJob) -> tuple[payload.Files, float]:
        source = job.volume["secret"]
        found = await job.sources.secret(job.pod["metadata"]["namespace"], source.get("secretName", ""))
        return payload.entries("secret", source, found, _default_mode(source), "secretName"), float("inf")


class DownwardVolume(_Shown):
    name = "kubernetes.io/downward-api"

    def supports(self, volume: Object) -> bool:
        return "downwardAPI" in volume

    def references(self, volume: Object) -> Sequence[Reference]:
        return ()

    async def files(self, job: VolumeJob) -> tuple[payload.Files, float]:
        source = job.volume["downwardAPI"]
        mode = _default_mode(source)
        return payload.downward(source.get("items") or [], job.pod, mode, job.sources.allocatable), float("inf")


class ProjectedVolume(_Shown):
    name = "kubernetes.io/projected"

    def supports(self, volume: Object) -> bool:
        return "projected" in volume

    def references(self, volume: Object) -> Sequence[Reference]:
        found = []
        for source in volume["projected"].get("sources") or ():
            if "configMap" in source:
                found.append(Reference("ConfigMap", source["configMap"].get("name", "")))
            elif "secret" in source:
                found.append(Reference("Secret", source["secret"].get("name", "")))
        return found

    async def files(self, job: VolumeJob) -> tuple[payload.Files, float]:
        namespace = job.pod["metadata"]["namespace"]
        found: dict[tuple[str, str], Object | None] = {}
        for reference in self.references(job.volume):
            get = job.sources.config_map if reference.kind == "ConfigMap" else job.sources.secret
            found[reference.kind, reference.name] = await get(namespace, reference.name)
        tokens: dict[tuple[str, int], str] = {}
        refresh_at = float("inf")
        for source in job.volume["projected"].get("sources") or ():
            if "serviceAccountToken" in source:
                key = payload.token_key(source["serviceAccountToken"])
                tokens[key], at = await job.sources.token(job.pod, *key)
                refresh_at = min(refresh_at, at)

        def look_up(kind: str, name: str) -> Object | None:
            return found[kind, name]

        files = payload.projected(job.volume, job.pod, look_up, tokens, job.sources.allocatable, job.user, job.fs_group)
        return files, refresh_at


class ImageVolume:
    """The content of an image. The runtime mounts it (CRI 1.31); one that can't refuses the container."""

    name = "kubernetes.io/image"

    def supports(self, volume: Object) -> bool:
        return "image" in volume

    def references(self, volume: Object) -> Sequence[Reference]:
        return ()

    async def set_up(self, job: VolumeJob) -> Mounted:
        return Mounted(job.directory, read_only=True, image=job.volume["image"].get("reference", ""))

    async def tear_down(self, directory: Path) -> None:
        """Nothing: the mount is the runtime's."""


def _default_mode(source: Object) -> int:
    mode: int | None = source.get("defaultMode")
    return payload.DEFAULT_MODE if mode is None else mode


def standard_kinds(clock: Clock) -> tuple[VolumePlugin, ...]:
    return (
        EmptyDir(),
        HostPath(),
        ConfigMapVolume(clock),
        SecretVolume(clock),
        DownwardVolume(clock),
        ProjectedVolume(clock),
        ImageVolume(),
    )
