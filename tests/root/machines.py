"""A machine for tests of real containers: a network namespace that the test makes itself (only a loopback
interface, no default route, so no packet can leave), a data directory, and what runs there.

It is entered with nsenter, because `ip netns exec` hides the cgroup mounts.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
Object = dict[str, Any]

IMAGE = "kubrick.test/busybox:1"
ROOMY = 'eviction_hard = {"memory.available" = "50Mi"}\nimage_gc_high_threshold_percent = 100\n'
"""Settings of a node that has enough of everything, however full the disk it is tested on."""
PATIENCE = 60.0
READY_SECONDS = 90.0
END_SECONDS = 120.0
CGROUPS = Path("/sys/fs/cgroup")
pause = threading.Event()


class Machine:
    """A network namespace, a data directory, and what runs there."""

    def __init__(self, thresholds: str = ROOMY) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))
        self.name = self.directory.name
        self.data = self.directory / "data"
        self.file = self.directory / "cluster.toml"
        # Cgroups are the whole machine's, whatever the namespace; how full its disk is says nothing of ours.
        self.file.write_text(f'[cluster]\nprofile = "full"\n[plugins.node]\ncgroups = "{self.name}"\n' + thresholds)
        self.log = self.directory / "up.log"
        self.process: subprocess.Popen[bytes] | None = None
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        assert not self.run("ip", "route", "show", "default"), "a namespace with a way out is no place for this"

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}", *command]

    def run(self, *command: str, text: str = "", seconds: float = 90.0) -> str:
        """Its standard output. Raises AssertionError with all it said."""
        done = subprocess.run(self.inside(*command), input=text, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.told()}"
        return done.stdout

    def told(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kubrick(self, *arguments: str) -> str:
        chosen = ("-f", str(self.file), "--data-dir", str(self.data))
        return self.run(sys.executable, "-m", "kubrick_kernel", *arguments, *chosen, seconds=180)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        return self.run("kubectl", "--kubeconfig", str(self.data / "admin.kubeconfig"), *arguments, text=text)

    def get(self, *arguments: str) -> Object:
        found: Object = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: Object) -> None:
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))

    def begin(self, *arguments: str) -> None:
        """Start it, and don't wait."""
        command = [sys.executable, "-m", "kubrick_kernel", "up", "-f", str(self.file), "--data-dir", str(self.data)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.inside(*command, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def up(self, *arguments: str) -> float:
        """Start it; how long it says that took."""
        self.begin(*arguments)

        def ready() -> str | None:
            assert self.process is not None
            assert self.process.poll() is None, self.told()
            found = re.search(r"ready in ([\d.]+) s", self.told())
            return found.group(1) if found else None

        return float(eventually(ready, READY_SECONDS, self.told))

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, or worse; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(END_SECONDS)
        self.process = None
        return code

    def remnants(self) -> list[str]:
        """Whatever is left of a cluster outside its data directory."""
        found = [f"mount {line.split()[4]}" for line in lines("/proc/self/mountinfo") if str(self.data) in line]
        found += [f"process {words}" for _, words in processes() if str(self.data) in words]
        links = json.loads(self.run("ip", "-json", "link"))
        found += [f"interface {link['ifname']}" for link in links if link["ifname"] != "lo"]
        found += [f"rules {line}" for line in self.run("nft", "list", "tables").splitlines()]
        found += [f"cgroup {folder}" for folder in CGROUPS.glob(f"*/{self.name}")]
        found += [f"namespace {path}" for path in self.data.glob("containerd/state/**/netns/*")]
        return found

    def close(self) -> None:
        """Take everything away, however the test ended."""
        if self.process is not None:
            self.end(signal.SIGKILL)
        try:
            if self.data.exists():
                self.kubrick("down")
            left = self.remnants()
        except BaseException:
            self.force()
            raise
        finally:
            subprocess.run(["ip", "netns", "delete", self.name], check=True)
        assert not left, left
        shutil.rmtree(self.directory)

    def force(self) -> None:
        """What is ours ends without Kubrick's help."""
        mine = {pid for pid, words in processes() if str(self.data) in words}
        mine |= {pid for pid, _ in processes() if parent(pid) in mine}
        for pid in mine:
            os.kill(pid, signal.SIGKILL)
        for line in reversed(lines("/proc/self/mountinfo")):
            if str(self.data) in line:
                subprocess.run(["umount", "--lazy", line.split()[4]], check=False)


def lines(file: str) -> list[str]:
    return Path(file).read_text(errors="replace").splitlines()


def processes() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended meanwhile


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def eventually(question: Callable[[], T | None], seconds: float = PATIENCE, state: Callable[[], object] = str) -> T:
    """The first answer that isn't nothing. `seconds` are of the clock, however slow the machine, and there is at least
    one question after they are over; `state` says what to show when it never comes true."""
    deadline = time.perf_counter() + seconds
    while True:
        late = time.perf_counter() >= deadline
        answer = question()
        if answer:
            return answer
        assert not late, f"not within {seconds:.0f} s; last: {answer!r} {state()}"
        pause.wait(0.05)


def container(command: str, **more: Any) -> Object:
    return {"name": "main", "image": IMAGE, "command": ["sh", "-c", command], **more}


def pod(name: str, command: str = "exec sleep inf", **spec: Any) -> Object:
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container(command)], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def running(machine: Machine, name: str) -> Object:
    def state() -> Object | None:
        one = machine.get("pod", name)
        return one if one["status"].get("phase") == "Running" else None

    return eventually(state, state=lambda: machine.get("pod", name)["status"])


def process_of(pod: Object) -> int:
    """The first process of the pod's container."""
    id_ = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]

    def found() -> int | None:
        for pid, _ in processes():
            try:
                first = re.search(r"^NSpid:.*\t1$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
                if first and id_ in Path(f"/proc/{pid}/cgroup").read_text():
                    return pid
            except OSError:
                continue
        return None

    return eventually(found)
