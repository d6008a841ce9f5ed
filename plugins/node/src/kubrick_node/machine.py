"""What this machine is: capacity, names and versions for its Node object, and what is left of what it has.
Reads /proc, /sys and statvfs; nothing is decided here."""

import fcntl
import os
import platform
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from kubrick_api.quantity import canonical
from kubrick_node.eviction import (
    IMAGEFS,
    IMAGEFS_INODES,
    MEMORY,
    NODEFS,
    NODEFS_INODES,
    PIDS,
    Observed,
    Threshold,
    reserved,
)

KUBELET_VERSION = "v1.36.0+kubrick"
SIOCGIFADDR = 0x8915
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "s390x": "s390x", "ppc64le": "ppc64le"}


@frozen
class Facts:
    """The machine's own numbers. Bytes."""

    cpus: int
    memory: int
    disk: int
    hugepages: Mapping[str, int]


def read_facts(directory: Path) -> Facts:
    """`directory` is where pods' files go."""
    disk = os.statvfs(_existing(directory))
    pages = {}
    for folder in sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB")):
        size = int(folder.name[10:-2])
        pages[f"hugepages-{canonical(f'{size}Ki')}"] = size * 1024 * int(_text(folder / "nr_hugepages"))
    memory = meminfo(Path("/proc/meminfo").read_text())
    return Facts(os.cpu_count() or 1, memory["MemTotal"], disk.f_frsize * disk.f_blocks, pages)


def read_levels(directory: Path, images: str = "") -> dict[str, Observed]:
    """What is left, by eviction signal. `directory` is where pods' files go, `images` a folder on the disk of the
    images ("" if unknown)."""
    memory = meminfo(Path("/proc/meminfo").read_text())
    processes = int(_text(Path("/proc/loadavg")).split()[3].partition("/")[2])
    limit = int(_text(Path("/proc/sys/kernel/pid_max")))
    found = {
        MEMORY: Observed(memory["MemAvailable"], memory["MemTotal"]),
        PIDS: Observed(limit - processes, limit),
    }
    for place, space, inodes in ((directory, NODEFS, NODEFS_INODES), (images, IMAGEFS, IMAGEFS_INODES)):
        if place:
            disk = os.statvfs(_existing(Path(place)))
            found[space] = Observed(disk.f_frsize * disk.f_bavail, disk.f_frsize * disk.f_blocks)
            if disk.f_files:  # some file systems don't count
                found[inodes] = Observed(disk.f_favail, disk.f_files)
    return found


def shares_disk(directory: Path, images: str) -> bool:
    """Whether both are on one disk (also when nobody says where the images are)."""
    return not images or _existing(directory).stat().st_dev == _existing(Path(images)).stat().st_dev


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words:
            found[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return found


def resources(facts: Facts, pods: int, kept: Iterable[Threshold] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """Capacity and allocatable: without what eviction by these thresholds keeps free."""
    kept = tuple(kept)
    capacity = {
        "cpu": str(facts.cpus),
        "ephemeral-storage": f"{facts.disk // 1024}Ki",
        "memory": f"{facts.memory // 1024}Ki",
        "pods": str(pods),
    }
    allocatable = {
        **capacity,
        "ephemeral-storage": str(max(facts.disk - reserved(kept, NODEFS, facts.disk), 0)),
        "memory": f"{max(facts.memory - reserved(kept, MEMORY, facts.memory), 0) // 1024}Ki",
    }
    for name, amount in facts.hugepages.items():
        capacity[name] = allocatable[name] = canonical(f"{amount // 1024}Ki")
    return capacity, allocatable


def architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def machine_id() -> str:
    return _text(Path("/etc/machine-id")) or _text(Path("/var/lib/dbus/machine-id"))


def kernel_version() -> str:
    return platform.release()


def boot_id() -> str:
    return _text(Path("/proc/sys/kernel/random/boot_id"))


def system_uuid() -> str:
    return _text(Path("/sys/class/dmi/id/product_uuid")) or machine_id()


def os_image() -> str:
    for line in _text(Path("/etc/os-release")).splitlines():
        if line.startswith("PRETTY_NAME="):
            return line[12:].strip('"')
    return platform.system()


def app_armor() -> bool:
    """Whether the kernel confines processes by AppArmor."""
    return _text(Path("/sys/module/apparmor/parameters/enabled")).startswith("Y")


def own_address() -> str:
    """The address this machine has towards others: of the interface of its default route; without one, the first
    that isn't a loopback. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
        except OSError:
            found = (_interface_address(asked, name) for _, name in socket.if_nameindex())
            return next((address for address in found if address and not address.startswith("127.")), "127.0.0.1")
        address: str = asked.getsockname()[0]
        return address


def _interface_address(asked: socket.socket, name: str) -> str:
    """The first IPv4 address of an interface, "" if it has none."""
    try:
        answer = fcntl.ioctl(asked.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()))
    except OSError:
        return ""
    return socket.inet_ntoa(answer[20:24])
