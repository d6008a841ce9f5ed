"""What a node agent with fifty idle pods costs: processor time, and memory beyond the control plane.

    .venv/bin/python tests/bench/node_idle.py [--pods N] [--seconds S]

Both are the same program: once with the profile control-plane, once with full and N pods of one sleeping process
each. It runs as root, in a network namespace of its own without a way out, and takes everything down again.
"""

import argparse
import os
import platform
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "root"))
from machines import IMAGE, Machine, eventually, pod

from kubrick_runtime_cri.archive import busybox_archive

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE = 10.0


def resident(pid: int) -> float:
    """Megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def measured(machine: Machine, seconds: float) -> tuple[float, float]:
    """Megabytes and the share of one core, at rest. Of the main process: the one that writes the store is the same with
    and without a node, and the runtime's are the runtime's."""
    assert machine.process is not None
    pid, pause = machine.process.pid, threading.Event()
    pause.wait(SETTLE)
    before = ticks(pid)
    pause.wait(seconds)
    return resident(pid), (ticks(pid) - before) / TICKS / seconds


def control_plane(seconds: float) -> tuple[float, float]:
    machine = Machine()
    machine.file.write_text('[cluster]\nprofile = "control-plane"\n')
    try:
        machine.up()
        return measured(machine, seconds)
    finally:
        if machine.process is not None:
            machine.end()
        machine.close()


def full(pods: int, seconds: float) -> tuple[float, float]:
    machine = Machine()
    try:
        machine.up()
        file = machine.directory / "busybox.tar"
        file.write_bytes(busybox_archive(IMAGE, platform.machine()))
        machine.kubrick("image", "load", str(file))
        machine.apply(*(pod(f"idle-{number}") for number in range(pods)))

        def running() -> bool:
            found = machine.get("pods")["items"]
            return [one["status"]["phase"] for one in found] == ["Running"] * pods

        eventually(running, 60)
        return measured(machine, seconds)
    finally:
        machine.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root, for containers and a network namespace of its own")
        return
    alone, idle = control_plane(options.seconds)
    memory, share = full(options.pods, options.seconds)
    print(f"control plane alone: {alone:.0f} MB, {idle:.2%} of one core")
    print(f"with the node and {options.pods} idle pods: {memory:.0f} MB, {share:.2%} of one core")
    print(f"the node: {memory - alone:.0f} MB (at most 60), {share - idle:.2%} of one core (at most 2 %)")


if __name__ == "__main__":
    main()
