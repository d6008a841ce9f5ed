"""How much of the node each pod uses now. Thin: walks folders in a thread, asks the runtime; ranking.py says what
follows."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import trio

from kubrick_node.ranking import ContainerUsage, PodUsage, Space
from kubrick_node.runtime import ContainerRuntime
from kubrick_node.surroundings import Surroundings

Object = dict[str, Any]
BLOCK = 512


def space_of(place: Path) -> Space:
    """What the disk gives for everything in it: as du counts, on one file system and each file once. A place of a
    file system's own (a volume in memory) takes what that file system has given out."""
    try:
        if os.path.ismount(place):
            disk = os.statvfs(place)
            return Space(disk.f_frsize * (disk.f_blocks - disk.f_bfree), disk.f_files - disk.f_ffree)
        first = place.lstat()
    except OSError:
        return Space()
    seen: set[int] = set()
    total, folders = first.st_blocks * BLOCK, [str(place)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue  # it has gone meanwhile
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if status.st_dev != first.st_dev or status.st_ino in seen:
                continue
            seen.add(status.st_ino)
            total += status.st_blocks * BLOCK
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
    return Space(total, len(seen) + 1)


class Measure:
    """Of one node's pods."""

    def __init__(self, runtime: ContainerRuntime, around: Surroundings) -> None:
        self._runtime = runtime
        self._around = around

    async def pod(self, pod: Object) -> PodUsage:
        """Raises RuntimeFailure."""
        stats = await self._runtime.stats(pod)
        state = await self._runtime.observe(pod)
        logs = {one.name: Path(one.log_path).parent for one in state.containers if one.log_path}
        volumes = dict(self._local_volumes(pod))
        own = self._around.directory(pod["metadata"]["uid"]) / "etc-hosts"
        places = [*logs.values(), *volumes.values(), own]
        spaces = dict(zip(places, await trio.to_thread.run_sync(_spaces, places), strict=True))
        containers = [
            ContainerUsage(
                name,
                usage.memory_working_set,
                Space(usage.filesystem_used, usage.filesystem_inodes),
                spaces[logs[name]] if name in logs else Space(),
            )
            for name, usage in stats.containers
        ]
        return PodUsage(
            tuple(containers),
            {name: spaces[place] for name, place in volumes.items()},
            spaces[own],
            self._around.processes(pod),
        )

    def _local_volumes(self, pod: Object) -> Iterable[tuple[str, Path]]:
        mounted = self._around.mounted(pod["metadata"]["uid"])
        for volume in pod["spec"].get("volumes") or ():
            if ("emptyDir" in volume or "configMap" in volume) and volume["name"] in mounted:
                yield volume["name"], mounted[volume["name"]].path


def _spaces(places: Iterable[Path]) -> list[Space]:
    return [space_of(place) for place in places]
