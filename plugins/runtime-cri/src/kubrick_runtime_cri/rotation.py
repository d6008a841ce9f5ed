"""Which of a container's old logs go when its log has grown too large. Pure, but for `rotate`.

Source: the kubelet's containerLogManager: the log is renamed with a timestamp behind it, the runtime opens a
new one, older ones are compressed; `files` counts them all, the one being written included.
"""

import gzip
import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from attrs import frozen

MAX_SIZE = 10 * 2**20
MAX_FILES = 5
CHECK_SECONDS = 10.0
_COMPRESSED, _UNFINISHED = ".gz", ".tmp"


@frozen
class Rotation:
    """File names, the oldest first."""

    remove: tuple[str, ...]
    compress: tuple[str, ...]


def plan(name: str, there: Sequence[str], files: int = MAX_FILES) -> Rotation:
    """What to do with the old logs of `name` before it becomes one of them; `there` is the folder."""
    old = sorted(entry for entry in there if entry.startswith(f"{name}."))
    unfinished = [entry for entry in old if entry.endswith(_UNFINISHED)]
    # A crash between compressing and removing leaves both.
    doubled = [entry for entry in old if f"{entry}{_COMPRESSED}" in old]
    kept = [entry for entry in old if entry not in unfinished and entry not in doubled]
    excess = kept[: max(0, len(kept) - max(0, files - 2))]
    compress = [entry for entry in kept[len(excess) :] if not entry.endswith(_COMPRESSED)]
    return Rotation((*unfinished, *doubled, *excess), tuple(compress))


def rotated_name(name: str, now: datetime) -> str:
    return f"{name}.{now:%Y%m%d-%H%M%S}"


def rotate(path: Path, now: datetime, files: int = MAX_FILES) -> Path:
    """Make room and put the log aside; returns its new name. The runtime has then to open a new one. Blocks."""
    wanted = plan(path.name, os.listdir(path.parent), files)
    for name in wanted.remove:
        (path.parent / name).unlink(missing_ok=True)
    for name in wanted.compress:
        source = path.parent / name
        unfinished = path.parent / f"{name}{_UNFINISHED}"
        with source.open("rb") as plain, gzip.open(unfinished, "wb") as packed:
            shutil.copyfileobj(plain, packed)
        unfinished.rename(path.parent / f"{name}{_COMPRESSED}")
        source.unlink()
    aside = path.parent / rotated_name(path.name, now)
    path.rename(aside)
    return aside
