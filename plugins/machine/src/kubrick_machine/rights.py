"""What this process may do. Root in somebody else's container is often root in name only, and bridges and mounts
then fail one by one; so it is asked beforehand."""

import os
import sys
from pathlib import Path

NEEDED = {12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN"}
"""Bridges, rules and addresses; namespaces and mounts. By number."""


def obstacles() -> list[str]:
    """Why this process can't run containers; nothing if it can."""
    if sys.platform != "linux":
        return ["real containers need Linux"]
    if os.geteuid() != 0:
        return ["real containers need root"]
    lacking = lacks(Path("/proc/self/status").read_text(errors="replace"))
    return [f"real containers need what root has no right to here: {', '.join(lacking)}"] if lacking else []


def lacks(status: str) -> list[str]:
    """The needed capabilities that a process of this /proc/<pid>/status has not. Pure."""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    held = int(line.split()[1], 16)
    return [name for number, name in NEEDED.items() if not held >> number & 1]
