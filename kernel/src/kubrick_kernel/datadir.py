"""The data directory: where it is, that only one process uses it, and what that process says.

The running process holds a lock on ``lock`` and writes ``status.json``. So whoever asks for the
status learns from the lock whether anybody runs, and from the file how it is. ``profile`` names the plugin set it
last ran with, which is the one that knows what it may have left.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubrick_kernel.errors import ConfigurationError

LOCK = "lock"
STATUS = "status.json"
PROFILE = "profile"


def default_data_dir(name: str) -> Path:
    """Where cluster `name` keeps its data: /var/lib/kubrick for root, else under the user's home."""
    if os.geteuid() == 0:
        return Path("/var/lib/kubrick") / name
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "kubrick" / name


def problem_with(directory: Path) -> str | None:
    """Why `directory` could not be held right now, without touching it; None when it could."""
    if (status := read_status(directory)) is not None:
        return f"data directory {directory}: in use by process {status['pid']}"
    try:
        existing = next(path for path in (directory, *directory.parents) if path.exists())
    except OSError as error:
        return _unwritable(directory, error)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return f"data directory {directory}: cannot write to {existing}; choose another with --data-dir"
    return None


def _unwritable(directory: Path, error: OSError) -> str:
    return f"data directory {directory}: cannot write to it ({error.strerror}); choose another with --data-dir"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Make `directory` if need be and keep it for this process alone.

    Raises `ConfigurationError` when it can't be written or another process has it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(_unwritable(directory, error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 20).decode() or "unknown"
            raise ConfigurationError(
                f"data directory {directory}: in use by process {owner}; stop it or choose another with --data-dir"
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:
            (directory / STATUS).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def write_status(directory: Path, status: dict[str, Any]) -> None:
    """Replace the status file in one step, so that a reader never sees half of it."""
    fresh = directory / (STATUS + ".new")
    fresh.write_text(json.dumps(status, indent=2), encoding="utf-8")
    fresh.replace(directory / STATUS)


def read_status(directory: Path) -> dict[str, Any] | None:
    """What the process that holds `directory` last said; None when nobody holds it."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            status: dict[str, Any] = json.loads((directory / STATUS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"pid": 0, "components": {}, "announcements": {}}
        return status
    finally:
        os.close(descriptor)
    return None


def write_profile(directory: Path, name: str) -> None:
    """Remember what `directory` is run with."""
    (directory / PROFILE).write_text(name + "\n", encoding="utf-8")


def read_profile(directory: Path) -> str | None:
    """What `directory` was last run with ("": no profile at all); None when it never was."""
    try:
        return (directory / PROFILE).read_text(encoding="utf-8").strip()
    except OSError:
        return None
