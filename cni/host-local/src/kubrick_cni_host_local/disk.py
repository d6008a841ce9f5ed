"""Who has which address: files in a folder per network, as containernetworking's host-local lays them out.

`<ip>` holds the container's id and its interface, `last_reserved_ip.<set>` the address given last, and
`lock` is what every reader and writer holds. A reservation appears whole or not at all: it is written beside
and linked into place, so a process killed at any moment leaves nothing half done.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from kubrick_network import CNIError
from kubrick_network.errors import IO_FAILURE
from kubrick_network.result import IP

DEFAULT_FOLDER = "/var/lib/cni/networks"
_LAST = "last_reserved_ip."
_LOCK = "lock"
_FRESH = ".fresh"

Owner = tuple[str, str]


@contextmanager
def locked(folder: Path) -> Iterator["Book"]:
    """The network's reservations, for this caller alone; processes and threads wait for each other."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CNIError(IO_FAILURE, "the address store can't be opened", str(error)) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield Book(folder)
        except OSError as error:
            raise CNIError(IO_FAILURE, "the address store failed", str(error)) from error
    finally:
        os.close(handle)


class Book:
    """Reservations, while the lock is held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def taken(self) -> set[str]:
        """Every reserved address."""
        return {name for name in os.listdir(self._folder) if _is_address(name)}

    def reserve(self, address: IP, owner: Owner, last_of: int | None = None) -> bool:
        """Note that `address` is `owner`'s; False if somebody has it. `last_of`: the range set whose
        last given address this is."""
        fresh = self._folder / _FRESH
        fresh.unlink(missing_ok=True)  # whoever was killed here may have linked it already
        fresh.write_bytes(f"{owner[0]}\r\n{owner[1]}".encode())
        try:
            os.link(fresh, self._folder / str(address))
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
        if last_of is not None:
            fresh.write_text(str(address))
            os.replace(fresh, self._folder / f"{_LAST}{last_of}")
        return True

    def last(self, index: int) -> IP | None:
        """The address given last of a range set."""
        try:
            return ip_address((self._folder / f"{_LAST}{index}").read_text().strip())
        except (FileNotFoundError, ValueError):
            return None

    def entries(self) -> Iterator[tuple[str, Owner]]:
        """Each reserved address and whose it is; ("", "") when nobody can tell."""
        for name in sorted(self.taken()):
            lines = (self._folder / name).read_text(errors="replace").split()
            yield name, (lines[0] if lines else "", lines[1] if len(lines) > 1 else "")

    def of(self, owner: Owner) -> list[IP]:
        """The addresses of `owner`. Before CNI 0.4 files held no interface: those are all of its."""
        return [
            ip_address(name) for name, (who, where) in self.entries() if who == owner[0] and where in ("", owner[1])
        ]

    def release(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
