"""mount(2) and umount2(2). Thin.

Without the right to mount (not root), memory-backed volumes are plain folders; what can't do without a mount
raises. Mounts are found in /proc/self/mountinfo only when something is taken down.
"""

import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from kubrick_node.volumes.contract import VolumeFailure

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 32, 4096, 16384
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
CAP_SYS_ADMIN = 21

_libc = ctypes.CDLL(None, use_errno=True)


def can_mount() -> bool:
    """Whether this process has CAP_SYS_ADMIN."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_ADMIN & 1)
    return False


def mount(source: str, target: Path | str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Raises OSError."""
    done = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    if done:
        _raise(target)


def unmount(target: Path | str) -> None:
    """Taken out of sight at once, gone when the last user is. Not being a mount is fine."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) and ctypes.get_errno() not in (22, 2):
        _raise(target)


def _raise(target: Path | str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), str(target))


def mount_tmpfs(target: Path, size: int | None = None) -> None:
    """Memory at `target`; `size` in bytes. A mount that is there stays; without the right to, a plain folder."""
    if os.path.ismount(target) or not can_mount():
        return
    try:
        mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size}" if size else "")
    except OSError as error:
        raise VolumeFailure(f"mount tmpfs on {target} failed: {error.strerror}") from None


def bind(source: str, target: Path) -> None:
    try:
        mount(source, target, "", MS_BIND | MS_REC)
    except OSError as error:
        raise VolumeFailure(f"error mounting {source}: {error.strerror}") from None


def mounts_below(directory: Path, mountinfo: str | None = None) -> list[str]:
    """Mount points at or below `directory`, the deepest and latest first."""
    text = mountinfo if mountinfo is not None else Path("/proc/self/mountinfo").read_text()
    prefix = str(directory)
    found = [point for point in _points(text) if point == prefix or point.startswith(prefix + "/")]
    return found[::-1]


def _points(mountinfo: str) -> Iterator[str]:
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            point = fields[4]
            yield point.encode().decode("unicode_escape").encode("latin-1").decode() if "\\" in point else point


def remove_tree(directory: Path) -> None:
    """Unmount everything at and below `directory` and remove it. Nothing is removed while anything is mounted
    there: it might be somebody's data."""
    if not directory.exists():
        return
    for point in mounts_below(directory):
        unmount(point)
    left = mounts_below(directory)
    if left:
        raise VolumeFailure(f"{left[0]} is still mounted")
    shutil.rmtree(directory, ignore_errors=True)
