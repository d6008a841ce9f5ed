"""The cgroups of pods: one each, with the pod's limits, under one per class. Thin; qos.py says the numbers.

Only where cgroups are named as paths (cgroupfs): slices are systemd's to make. On cgroup v1 each controller has a
tree of its own, on v2 there is one.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kubrick_node.qos import (
    PERIOD,
    CgroupLimits,
    cgroup_parent,
    cgroup_parts,
    class_shares,
    pod_cgroup_limits,
    qos_class,
)

Object = dict[str, Any]

CONTROLLERS = ("cpu", "memory", "pids")
ROOT = Path("/sys/fs/cgroup")


class Cgroups:
    """`name` is the folder under the mounts that everything stands in."""

    def __init__(self, name: str = "kubrick", root: Path = ROOT, pids: int | None = None) -> None:
        self._name = name
        self._root = root
        self._pids = pids
        self._unified = (root / "cgroup.controllers").exists()

    def parent(self, pod: Object) -> str:
        """What the runtime is told."""
        return cgroup_parent(cgroup_parts(pod), "cgroupfs", f"/{self._name}")

    def make(self, pod: Object, pods: Iterable[Object]) -> None:
        """Make the pod's cgroup; `pods` are all of the node, for the shares of their class. Raises OSError."""
        parts = cgroup_parts(pod)
        limits = pod_cgroup_limits(pod, self._pids)
        for tree in self._trees():
            tree.joinpath(self._name, *parts).mkdir(parents=True, exist_ok=True)
        self._limit(Path(self._name, *parts), limits)
        self.balance(pods)

    def limit(self, pod: Object, limits: CgroupLimits) -> None:
        """Other limits for a pod that has a cgroup. Raises OSError."""
        self._limit(Path(self._name, *cgroup_parts(pod)), limits)

    def balance(self, pods: Iterable[Object]) -> None:
        """The burstable class gets what its pods ask for, the best-effort class the least there is."""
        burstable = [pod for pod in pods if qos_class(pod) == "Burstable"]
        for name, shares in (("burstable", class_shares(burstable)), ("besteffort", 2)):
            folder = Path(self._name, "kubepods", name)
            if any((tree / folder).exists() for tree in self._trees()):
                self._limit(folder, CgroupLimits(shares))

    def processes(self, pod: Object) -> int:
        """How many the pod has; 0 where that isn't counted."""
        file = Path(self._name, *cgroup_parts(pod), "pids.current")
        try:
            return int((self._root / ("" if self._unified else "pids") / file).read_text())
        except (OSError, ValueError):
            return 0

    def remove(self, pod: Object) -> None:
        """The pod's cgroup, once nothing runs in it."""
        for tree in self._all_trees():
            _remove(tree.joinpath(self._name, *cgroup_parts(pod)))

    def remove_all(self) -> None:
        """Everything that is empty, also in the trees where only the runtime makes something."""
        found = {self._root, *(folder.resolve() for folder in self._root.iterdir() if folder.is_dir())}
        for tree in sorted(found):
            _remove(tree / self._name)

    def _trees(self) -> list[Path]:
        if self._unified:
            return [self._root]
        found = {(self._root / name).resolve() for name in CONTROLLERS if (self._root / name).is_dir()}
        return sorted(found)

    def _all_trees(self) -> list[Path]:
        """Runtimes use every controller there is, and leave our folders in all of them."""
        return (
            [self._root]
            if self._unified
            else sorted({path.resolve() for path in self._root.iterdir() if path.is_dir()})
        )

    def _limit(self, folder: Path, limits: CgroupLimits) -> None:
        if self._unified:
            quota = "max" if limits.quota is None else str(limits.quota)
            _write(self._root / folder / "cpu.weight", str(limits.weight))
            _write(self._root / folder / "cpu.max", f"{quota} {PERIOD}")
            if limits.memory is not None:
                _write(self._root / folder / "memory.max", str(limits.memory))
            if limits.pids is not None:
                _write(self._root / folder / "pids.max", str(limits.pids))
            return
        _write(self._root / "cpu" / folder / "cpu.shares", str(limits.shares))
        if limits.quota is not None:
            _write(self._root / "cpu" / folder / "cpu.cfs_period_us", str(PERIOD))
            _write(self._root / "cpu" / folder / "cpu.cfs_quota_us", str(limits.quota))
        if limits.memory is not None:
            _write(self._root / "memory" / folder / "memory.limit_in_bytes", str(limits.memory))
        if limits.pids is not None:
            _write(self._root / "pids" / folder / "pids.max", str(limits.pids))


def _write(file: Path, text: str) -> None:
    """A controller that isn't there has nothing to say."""
    try:
        file.write_text(text)
    except FileNotFoundError:
        return


def _remove(folder: Path) -> None:
    """From the leaves up. What still has processes stays: the next attempt finds it."""
    if not folder.exists():
        return
    for top, folders, _ in os.walk(folder, topdown=False):
        for name in folders:
            _remove_one(os.path.join(top, name))
    _remove_one(str(folder))


def _remove_one(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        return
