"""Who owns a volume: the pod's fsGroup, as the kubelet's SetVolumeOwnership gives it. Thin."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Object = dict[str, Any]

WRITABLE, READABLE, ENTERABLE = 0o660, 0o440, 0o110


def fs_group(pod: Object) -> int | None:
    group: int | None = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return group


def fs_user(pod: Object) -> int | None:
    """The user that all containers run as, when the pod says so of all and it is one."""
    spec = pod["spec"]
    level = (spec.get("securityContext") or {}).get("runAsUser")
    users = set()
    for listed in ("initContainers", "containers"):
        for container in spec.get(listed) or ():
            users.add((container.get("securityContext") or {}).get("runAsUser", level))
    user = users.pop() if len(users) == 1 else None
    return user if isinstance(user, int) else None


def give_to_group(directory: Path, group: int, read_only: bool = False, only_on_mismatch: bool = False) -> None:
    """Everything at and below `directory` belongs to `group`, which may read (and write) it; new files inherit
    the group. Does nothing when not root, or when only_on_mismatch and the top is right already."""
    if os.geteuid() != 0:
        return
    mask = READABLE if read_only else WRITABLE
    if only_on_mismatch and _is_right(directory.lstat(), group, mask):
        return
    for path in _tree(directory):
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            os.chown(path, -1, group, follow_symlinks=False)
            continue
        os.chown(path, -1, group, follow_symlinks=False)
        extra = mask | ((stat.S_ISGID | ENTERABLE) if stat.S_ISDIR(found.st_mode) else 0)
        os.chmod(path, stat.S_IMODE(found.st_mode) | extra)


def _is_right(found: os.stat_result, group: int, mask: int) -> bool:
    wanted = mask | stat.S_ISGID | ENTERABLE
    return found.st_gid == group and stat.S_IMODE(found.st_mode) & wanted == wanted


def _tree(directory: Path) -> Iterator[str]:
    yield str(directory)
    for top, folders, files in os.walk(directory):
        for name in (*folders, *files):
            yield os.path.join(top, name)
