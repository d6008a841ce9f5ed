"""A part of a volume as a mount of its own, whatever a container has made of the volume. Thin.

A path inside a volume is the container's to change, so it is never resolved by name twice: the kernel resolves
it once, below the volume only (openat2 with RESOLVE_BENEATH), and what was found is bound by its descriptor.
"""

import ctypes
import os
from pathlib import Path

from kubrick_node.volumes import mounting
from kubrick_node.volumes.contract import VolumeFailure

OPENAT2 = 437
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08
EXDEV, ENOENT, ELOOP = 18, 2, 40

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def open_beneath(volume: Path, path: str) -> int:
    """A descriptor (O_PATH) of what `path` is inside `volume`; missing folders are made. Raises VolumeFailure
    when it leads outside. The caller closes it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or path.startswith("/"):
        raise VolumeFailure(f'subpath "{path}" not within volume path "{volume}"')
    top = os.open(volume, os.O_PATH | os.O_CLOEXEC)
    if not parts:
        return top
    try:
        return _resolve(top, parts, path, volume)
    finally:
        os.close(top)


def read_beneath(volume: Path, path: str) -> str:
    """The text of a file inside `volume`, whatever links there are on the way. Raises VolumeFailure when they lead
    outside, OSError and UnicodeDecodeError."""
    top = os.open(volume, os.O_PATH | os.O_CLOEXEC)
    try:
        found = _openat2(top, path)
    finally:
        os.close(top)
    if not isinstance(found, _Opened):
        if found in (EXDEV, ELOOP):
            raise VolumeFailure(f'path "{path}" not within volume path "{volume}"')
        raise OSError(found, os.strerror(found), path)
    try:
        return Path(f"/proc/self/fd/{found.descriptor}").read_text()
    finally:
        os.close(found.descriptor)


def _resolve(top: int, parts: list[str], path: str, volume: Path) -> int:
    for _ in range(len(parts) + 1):
        found = _openat2(top, "/".join(parts))
        if isinstance(found, _Opened):
            return found.descriptor
        if found in (EXDEV, ELOOP):
            raise VolumeFailure(f'subpath "{path}" not within volume path "{volume}"')
        if found != ENOENT:
            raise VolumeFailure(f"error resolving symlinks in {str(volume / path)!r}: {os.strerror(found)}")
        _make_next(top, parts, path, volume)
    raise VolumeFailure(f"cannot create directory {volume / path}: it vanishes")


class _Opened:
    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor


def _openat2(top: int, path: str) -> "_Opened | int":
    """The open file, or the error's number."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    descriptor = _libc.syscall(OPENAT2, top, path.encode(), ctypes.byref(how), ctypes.sizeof(how))
    return _Opened(descriptor) if descriptor >= 0 else ctypes.get_errno()


def _make_next(top: int, parts: list[str], path: str, volume: Path) -> None:
    """Make the first folder that is missing."""
    parent: int = os.dup(top)
    try:
        for count in range(1, len(parts) + 1):
            found = _openat2(top, "/".join(parts[:count]))
            if isinstance(found, _Opened):
                os.close(parent)
                parent = found.descriptor
                continue
            try:
                os.mkdir(parts[count - 1], 0o750, dir_fd=parent)
            except FileExistsError:
                # A link that leads nowhere, or somebody was faster: the next look tells.
                if found == ENOENT and _is_dangling(parent, parts[count - 1]):
                    raise VolumeFailure(f"cannot create directory {volume / path}: a link leads nowhere") from None
            except OSError as error:
                raise VolumeFailure(f"cannot create directory {volume / path}: {error.strerror}") from None
            return
    finally:
        os.close(parent)


def _is_dangling(parent: int, name: str) -> bool:
    try:
        os.readlink(name, dir_fd=parent)
    except OSError:
        return False
    return True


def bind_subpath(volume: Path, path: str, target: Path) -> Path:
    """Bind what `path` is inside `volume` to `target`, and answer what to mount. Where nothing can be mounted
    (not root), that is the resolved path itself."""
    descriptor = open_beneath(volume, path)
    try:
        here = f"/proc/self/fd/{descriptor}"
        if not mounting.can_mount():
            return Path(os.readlink(here))
        if os.path.ismount(target) or str(target) in mounting.mounts_below(target):
            mounting.unmount(target)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        if os.path.isdir(here):
            target.mkdir(exist_ok=True, mode=0o750)
        else:
            target.touch(exist_ok=True, mode=0o640)
        mounting.bind(here, target)
        return target
    finally:
        os.close(descriptor)
