"""``kubrick up`` as a process of its own: sockets, certificates, SQLite."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from kubrick_kernel.plugins import PROFILE_VARIABLE

READY_SECONDS = 30.0


class RealCluster:
    """One ``kubrick up``, its data directory and its kubeconfig. It can be killed and started again, and
    then listens where it did. Where neither `arguments` nor a cluster file among them names a profile, it is
    `hollow`, also for root."""

    def __init__(self, data_dir: Path, arguments: Sequence[str] = (), python: Path | str = sys.executable) -> None:
        self.data_dir = data_dir
        self.kubeconfig = data_dir / "admin.kubeconfig"
        self._arguments = list(arguments)
        self._python = str(python)
        self._process: trio.Process | None = None
        self._log = data_dir / "up.log"
        self._listen = "127.0.0.1:0"

    @property
    def pid(self) -> int:
        """The process's id. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the cluster is not running")
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it says ready. Raises RuntimeError with its output when it does not."""
        command = [
            self._python,
            "-m",
            "kubrick_kernel",
            "up",
            "--data-dir",
            str(self.data_dir),
            "--listen",
            self._listen,
            *self._arguments,
        ]
        self.data_dir.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, PROFILE_VARIABLE: os.environ.get(PROFILE_VARIABLE) or "hollow"}
        with self._log.open("wb") as log:
            self._process = await trio.lowlevel.open_process(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        with trio.move_on_after(READY_SECONDS):
            while b"ready in" not in self._log.read_bytes():
                if self._process.poll() is not None:
                    break
                await trio.sleep(0.01)
            else:
                self._listen = self._address()
                return
        output = self._log.read_text(errors="replace")
        await self.stop()
        raise RuntimeError(f"the cluster did not become ready:\n{output}")

    def _address(self) -> str:
        """HOST:PORT of the server in the kubeconfig."""
        line = next(line for line in self.kubeconfig.read_text().splitlines() if "server:" in line)
        return line.rpartition("//")[2].strip("\"' ")

    async def stop(self) -> int:
        """SIGTERM, wait, and return its exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> int:
        """SIGKILL."""
        return await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        with trio.CancelScope(shield=True):
            await process.wait()
        return process.returncode or 0

    async def kubectl(self, *arguments: str, stdin: str = "", kubectl: str = "kubectl", check: bool = True) -> str:
        """Run kubectl against the cluster and return what it printed (stderr too when `check` is False).
        Raises RuntimeError with its output when it fails."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.data_dir / "cache")}
        done = await trio.run_process(
            [kubectl, *arguments],
            stdin=stdin.encode(),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)} ended with {done.returncode}:\n{out}{err}")
        return out if check else out + err
