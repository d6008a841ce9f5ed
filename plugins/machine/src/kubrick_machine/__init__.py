"""This machine as the whole cluster: its bridge and its kernel's switches first, and nothing left behind."""

import os
import shutil
from collections.abc import Sequence

from kubrick_kernel import Component, Kernel, hookimpl


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_machine.settings import Settings

    return Settings


@hookimpl
def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    from kubrick_machine.ground import Ground

    ground = Ground(kernel, kernel.settings("machine"))
    kernel.offer(Ground, ground)
    return [ground]


@hookimpl
def kubrick_register_sweepers(kernel: Kernel) -> Sequence[Component]:
    from kubrick_machine.ground import Ground

    return [kernel.find(Ground)]


@hookimpl
def kubrick_register_checks(kernel: Kernel) -> Sequence[str]:
    """Whether this user on this machine can run containers at all."""
    if os.geteuid() != 0:
        return ["machine: real containers need root; run as root, or use the profile hollow"]
    missing = [name for name in ("containerd", "runc", "nft") if shutil.which(name) is None]
    if missing:
        return [
            f"machine: programs are missing: {', '.join(missing)}; as root: apt-get install containerd runc nftables"
        ]
    return []
