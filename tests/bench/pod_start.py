"""How long the full cluster takes to start when it is warm, how long ten pods take to run, and what of a pod's start
is the agent's own: from the moment the pod is bound until the API says it runs, without the runtime's calls.

    .venv/bin/python tests/bench/pod_start.py [--runs N]

The runtime's calls are timed by containerd's own log. It runs as root, in a network namespace of its own without a way
out, and takes everything down again.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "root"))
from machines import IMAGE, Machine, eventually, pod

from kubrick_kernel import SystemClock
from kubrick_runtime_cri.archive import busybox_archive

Object = dict[str, Any]
PODS = 10
clock = SystemClock()
CALL = re.compile(r'time="([^"]+)" level=info msg="(RunPodSandbox|CreateContainer|StartContainer) (.*)"')


class Watch:
    """When each pod of the default namespace was first seen bound and first seen running, by the clock."""

    def __init__(self, machine: Machine) -> None:
        self.bound: dict[str, float] = {}
        self.running: dict[str, float] = {}
        command = ["kubectl", "--kubeconfig", str(machine.data / "admin.kubeconfig"), "get", "--raw"]
        path = "/api/v1/namespaces/default/pods?watch=true"
        self._process = subprocess.Popen(machine.inside(*command, path), stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            found, now = json.loads(line)["object"], clock.timestamp()
            name = found["metadata"]["name"]
            if found["spec"].get("nodeName"):
                self.bound.setdefault(name, now)
            if found["status"].get("phase") == "Running":
                self.running.setdefault(name, now)

    def close(self) -> None:
        self._process.kill()
        self._thread.join()
        self._process.wait()


def runtime_seconds(log: str) -> float:
    """What the calls of one pod's start took, as containerd tells: each begins with one line and ends with another."""
    total, began = 0.0, 0.0
    for stamp, _, words in CALL.findall(log):
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", stamp)).timestamp()
        if "returns" in words:
            total += at - began
        else:
            began = at
    return total


def overheads(machine: Machine, count: int) -> list[tuple[float, float]]:
    """Of pods one after the other: milliseconds from bound to running, and how many of them were the runtime's."""
    log, found = machine.data / "containerd" / "containerd.log", []
    for number in range(count):
        name, before = f"one-{number}", log.stat().st_size
        watch = Watch(machine)
        try:
            machine.apply(pod(name))
            eventually(lambda name=name, watch=watch: watch.running.get(name))  # type: ignore[misc]
        finally:
            watch.close()
        whole = watch.running[name] - watch.bound[name]
        found.append((whole * 1000, runtime_seconds(log.read_text()[before:]) * 1000))
        machine.kubectl("delete", "pod", name, "--now")
    return found


def ten(machine: Machine) -> float:
    """Seconds from the moment `kubectl apply` is called until all run."""
    names = [f"ten-{number}" for number in range(PODS)]
    watch = Watch(machine)
    try:
        began = clock.timestamp()
        machine.apply(*map(pod, names))
        eventually(lambda: watch.running.keys() >= set(names))
    finally:
        watch.close()
    machine.kubectl("delete", "pod", *names, "--now")
    return max(watch.running[name] for name in names) - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root, for containers and a network namespace of its own")
        return
    machine = Machine()
    try:
        machine.up()
        file = machine.directory / "busybox.tar"
        file.write_bytes(busybox_archive(IMAGE, platform.machine()))
        machine.kubrick("image", "load", str(file))
        starts = []
        for _ in range(options.runs):
            machine.end()
            began = time.perf_counter()
            said = machine.up()
            starts.append(f"{said:.2f} s ({time.perf_counter() - began:.2f} s with the interpreter)")
        print(f"warm start: {', '.join(starts)} (at most 3)")
        print(f"ten pods: {', '.join(f'{ten(machine):.2f} s' for _ in range(options.runs))} (at most 4)")
        each = overheads(machine, PODS)
        whole, runtime = (statistics.median(column) for column in zip(*each, strict=True))
        own = statistics.median(one - other for one, other in each)
        print(f"one pod: {whole:.0f} ms, of which the runtime {runtime:.0f} ms, the agent {own:.0f} ms (at most 50)")
        print("all:", ", ".join(f"{one:.0f}/{other:.0f}" for one, other in each))
    finally:
        machine.close()


if __name__ == "__main__":
    main()
