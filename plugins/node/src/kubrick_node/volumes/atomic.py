"""Files that change all at once under their readers.

The files stand in a folder named for the moment, the link ``..data`` points to it, and what users see are links
through it (``key -> ..data/key``). A change is a new folder and one rename of ``..data``: a reader sees the old
files or the new ones. Source: the kubelet's AtomicWriter, whose layout programs know and watch.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path, PurePosixPath

from attrs import frozen

DATA, NEW_DATA = "..data", "..data_tmp"


@frozen
class File:
    """One file to show: `mode` are its permission bits, `user` its owner (None: whoever writes)."""

    data: bytes
    mode: int = 0o644
    user: int | None = None


class BadPath(ValueError):
    """A path that would leave the volume."""


def check_path(path: str) -> str:
    """`path` as it is safe. Raises `BadPath`."""
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise BadPath(f"invalid path: {path!r} must be relative, without '..' elements and not start with '..'")
    return "/".join(parts)


def write_files(
    directory: Path, files: Mapping[str, File], stamp: str, own: Callable[[Path], None] | None = None
) -> bool:
    """Make `directory` show exactly `files`; True when anything changed. `stamp` names the new folder; `own` is
    called on it before it is shown, to set owners."""
    wanted = {check_path(path): file for path, file in files.items()}
    current = _current(directory)
    if current is not None and _is_same(current, wanted):
        _link(directory, wanted)
        return False
    fresh = _new_folder(directory, stamp)
    try:
        fresh.chmod(0o755)
        for path, file in wanted.items():
            _write(fresh / path, file)
        if own is not None:
            own(fresh)
        link = directory / NEW_DATA
        link.unlink(missing_ok=True)
        link.symlink_to(fresh.name)
        os.rename(link, directory / DATA)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _link(directory, wanted)
    for entry in list(directory.iterdir()):
        if entry.name.startswith("..") and entry.name not in (DATA, fresh.name):
            _discard(entry)
    return True


def _new_folder(directory: Path, stamp: str) -> Path:
    """Named `stamp`, and a number when moments repeat."""
    for number in count():
        fresh = directory / (f"..{stamp}_{number}" if number else f"..{stamp}")
        try:
            fresh.mkdir(mode=0o755)
        except FileExistsError:
            continue
        break
    return fresh


def _discard(entry: Path) -> None:
    if entry.is_symlink() or not entry.is_dir():
        entry.unlink(missing_ok=True)
    else:
        shutil.rmtree(entry, ignore_errors=True)


def _current(directory: Path) -> Path | None:
    try:
        return directory / os.readlink(directory / DATA)
    except OSError:
        return None


def _is_same(current: Path, wanted: Mapping[str, File]) -> bool:
    there = {str(path.relative_to(current)) for path in current.rglob("*") if not path.is_dir()}
    if there != set(wanted):
        return False
    for path, file in wanted.items():
        found = current / path
        try:
            if found.stat().st_size != len(file.data) or found.read_bytes() != file.data:
                return False
        except OSError:
            return False
    return True


def _write(path: Path, file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    with open(descriptor, "wb") as out:
        os.fchmod(descriptor, file.mode)
        out.write(file.data)
        if file.user is not None and os.geteuid() == 0:
            os.fchown(descriptor, file.user, -1)


def _link(directory: Path, wanted: Mapping[str, File]) -> None:
    """The links users see: one for each first part of a path; those of files that are gone go."""
    names = {path.partition("/")[0] for path in wanted}
    for entry in list(directory.iterdir()):
        if entry.is_symlink() and entry.name not in names and not entry.name.startswith(".."):
            entry.unlink()
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
