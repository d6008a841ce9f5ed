"""What a private containerd needs of this machine: programs, and a busybox that runs alone in an image."""

import shutil
from pathlib import Path

from kubrick_kernel import ConfigurationError

PROGRAMS = {"containerd": "containerd", "ctr": "containerd", "runc": "runc", "containerd-shim-runc-v2": "containerd"}
"""By program, the Debian package that has it."""
BUSYBOX = "busybox-static"


def missing_packages() -> list[str]:
    """What root would have to install, in alphabetical order."""
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    try:
        busybox()
    except ConfigurationError:
        missing.add(BUSYBOX)
    return sorted(missing)


def busybox() -> bytes:
    """The machine's static busybox. Raises ConfigurationError."""
    for place in ("/bin/busybox", "/usr/bin/busybox", shutil.which("busybox")):
        if place and Path(place).is_file():
            program = Path(place).read_bytes()
            if not _needs_loader(program):
                return program
    raise ConfigurationError("no static busybox on this machine: install the package busybox-static")


def _needs_loader(program: bytes) -> bool:
    """Whether an ELF file names an interpreter (program header type 3), and so isn't static."""
    if program[:4] != b"\x7fELF" or program[4] != 2:
        return True
    table = int.from_bytes(program[32:40], "little")
    size, count = int.from_bytes(program[54:56], "little"), int.from_bytes(program[56:58], "little")
    return any(program[table + i * size : table + i * size + 4] == b"\3\0\0\0" for i in range(count))
