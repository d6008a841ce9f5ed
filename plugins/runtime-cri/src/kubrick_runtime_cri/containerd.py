"""A private containerd: a kernel component with its own root, state and socket under the data directory.

It outlives its starter: a containerd that is found running (its starter was killed) is taken over, and its
pods with it. It is ended with its pods, and with what containerd leaves mounted, unless pods are to be kept:
then only containerd itself ends and their shims go on. Its sandbox image is built here and imported, so no
registry is needed.
"""

import ctypes
import math
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import trio
from attrs import frozen

from kubrick_kernel import ConfigurationError, get_logger
from kubrick_runtime_cri.archive import PAUSE_IMAGE, pause_archive
from kubrick_runtime_cri.calls import Calls
from kubrick_runtime_cri.channel import Channel, RPCError
from kubrick_runtime_cri.images import Images
from kubrick_runtime_cri.needs import missing_packages

log = get_logger("containerd")

CAP_SYS_RESOURCE = 24
START_SECONDS = 20.0
STOP_SECONDS = 10.0
PODS_SECONDS = 60.0
LOOK_SECONDS = 0.02
SOCKET_LENGTH = 107
_MNT_DETACH = 2
_SHARED_FOLDERS = ("/run/containerd/s", "/run/containerd")
"""Where shims have their sockets, whatever the configuration says."""
_SNAPSHOTTERS = ("aufs", "btrfs", "devmapper", "native", "zfs")


@frozen
class Paths:
    """Where everything of one containerd is."""

    directory: Path
    cni_bin: str = "/opt/cni/bin"
    cni_conf: str = "/etc/cni/net.d"

    @property
    def socket(self) -> str:
        return str(self.directory / "containerd.sock")

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    @property
    def pid(self) -> Path:
        return self.directory / "containerd.pid"

    @property
    def log(self) -> Path:
        return self.directory / "containerd.log"

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def state(self) -> Path:
        return self.directory / "state"


def render(paths: Paths, *, restrict_oom_score: bool, snapshotter: str = "overlayfs") -> str:
    """containerd's configuration. Version 2 is what 1.6 to 2.x read. Pure."""
    disabled = ", ".join(
        _quoted(f"io.containerd.snapshotter.v1.{name}") for name in _SNAPSHOTTERS if name != snapshotter
    )
    return f"""version = 2
root = {_quoted(str(paths.root))}
state = {_quoted(str(paths.state))}
disabled_plugins = [{disabled}]

[grpc]
  address = {_quoted(paths.socket)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {_quoted(PAUSE_IMAGE)}
  restrict_oom_score_adj = {_word(restrict_oom_score)}
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_selinux = false
  max_concurrent_downloads = 3

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = {_quoted(snapshotter)}
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = {_quoted(str(paths.state / "runc"))}

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {_quoted(paths.cni_bin)}
    conf_dir = {_quoted(paths.cni_conf)}
"""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word(value: bool) -> str:
    return "true" if value else "false"


def may_lower_oom_scores() -> bool:
    """Whether this process has CAP_SYS_RESOURCE; without it runc dies when it sets a score below its own."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return False


class Containerd:
    """The component "containerd"."""

    name = "containerd"
    requires: tuple[str, ...] = ("machine?", "network?")

    def __init__(self, paths: Paths, *, keep_pods: bool = False, snapshotter: str = "overlayfs") -> None:
        self.paths = paths
        self.keep_pods = keep_pods
        self._snapshotter = snapshotter
        self._process: trio.Process | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ready when containerd answers and has its sandbox image. Raises ConfigurationError when this machine
        can't run it, OSError when it ends by itself (its pods go on)."""
        pid = await self._start()
        try:
            async with trio.open_nursery() as nursery:
                channel = Channel(self.paths.socket)
                await nursery.start(channel.run)
                calls = Calls(channel)
                await self._answering(calls, pid)
                await self._bring_sandbox_image(calls)
                task_status.started()
                await _ended(pid)
                raise OSError(f"containerd ended by itself: see {self.paths.log}")
        finally:
            over = trio.current_effective_deadline() == -math.inf and not self.keep_pods
            with trio.CancelScope(shield=True):
                await self._stop(pid, with_pods=over)

    async def _start(self) -> int:
        """The pid of a containerd with the right configuration: one that an earlier run left, or a new one."""
        self._check()
        text = render(self.paths, restrict_oom_score=not may_lower_oom_scores(), snapshotter=self._snapshotter)
        pid = self._running()
        if pid is not None:
            if self.paths.config.read_text() == text:
                log.info("containerd taken over", pid=pid)
                return pid
            await end_process(pid, STOP_SECONDS)
        self._prepare(text)
        with self.paths.log.open("ab") as output:
            # Its own session: Ctrl-C is for us, and it is ended when its pods are.
            self._process = await trio.lowlevel.open_process(
                ["containerd", "--config", str(self.paths.config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.paths.pid.write_text(str(self._process.pid))
        return self._process.pid

    def _running(self) -> int | None:
        """The pid of the one an earlier run started, if it still runs."""
        try:
            pid = int(self.paths.pid.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.paths.config).encode() in command else None

    def _prepare(self, configuration: str) -> None:
        for folder in (self.paths.root, self.paths.state):
            folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        self.paths.config.write_text(configuration)
        Path(self.paths.socket).unlink(missing_ok=True)

    def _check(self) -> None:
        if sys.platform != "linux" or os.geteuid() != 0:
            raise ConfigurationError("a private containerd needs root on Linux: set [plugins.runtime-cri] endpoint")
        if missing := missing_packages():
            raise ConfigurationError(f"containers need packages that are missing: {', '.join(missing)}")
        if len(self.paths.socket) > SOCKET_LENGTH:
            raise ConfigurationError(f"{self.paths.socket}: a socket's path has at most {SOCKET_LENGTH} characters")

    async def _answering(self, calls: Calls, pid: int) -> None:
        with trio.move_on_after(START_SECONDS):
            while _alive(pid):
                try:
                    await calls("Version", LOOK_SECONDS * 50)
                except RPCError:
                    await trio.sleep(LOOK_SECONDS)
                else:
                    return
        raise OSError(f"containerd does not answer: see {self.paths.log}")

    async def _bring_sandbox_image(self, calls: Calls) -> None:
        images = Images(calls, "ctr", self.paths.socket)
        if await images.status(PAUSE_IMAGE) is None:
            archive = self.paths.directory / "pause.tar"
            archive.write_bytes(pause_archive(platform.machine()))
            await images.import_archive(str(archive))
            archive.unlink()

    async def _stop(self, pid: int, *, with_pods: bool) -> None:
        if with_pods and _alive(pid):
            with trio.move_on_after(PODS_SECONDS):
                await self._remove_pods()
        await end_process(pid, STOP_SECONDS)
        if self._process is not None:
            await self._process.wait()
            self._process = None
        self._clean(with_mounts=with_pods)

    def _clean(self, *, with_mounts: bool) -> None:
        self.paths.pid.unlink(missing_ok=True)
        Path(self.paths.socket).unlink(missing_ok=True)
        if with_mounts:
            for place in mounts_below(str(self.paths.directory), Path("/proc/self/mountinfo").read_text().splitlines()):
                _unmount(place)
            for folder in _SHARED_FOLDERS:
                try:
                    os.rmdir(folder)
                except OSError:
                    break  # not empty: somebody else's containerd is there too

    async def _remove_pods(self) -> None:
        async with trio.open_nursery() as nursery:
            channel = Channel(self.paths.socket)
            await nursery.start(channel.run)
            calls = Calls(channel)
            try:
                sandboxes = (await calls("ListPodSandbox")).items
                async with trio.open_nursery() as removing:
                    for sandbox in sandboxes:
                        removing.start_soon(_remove, calls, sandbox.id)
            except RPCError as error:
                log.warning("pods not removed", error=str(error))
            nursery.cancel_scope.cancel()


async def _remove(calls: Calls, sandbox: str) -> None:
    for method in ("StopPodSandbox", "RemovePodSandbox"):
        try:
            await calls(method, PODS_SECONDS, pod_sandbox_id=sandbox)
        except RPCError as error:
            log.warning("pod not removed", call=method, sandbox=sandbox, error=str(error))


def _alive(pid: int) -> bool:
    """A zombie is not: nobody waits for a containerd that was taken over."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _ended(pid: int) -> None:
    """Wait for the end of any process, ours or not."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await trio.lowlevel.wait_readable(watched)
    finally:
        os.close(watched)


async def end_process(pid: int, seconds: float) -> None:
    """Ask it to end, and kill it if it doesn't."""
    for way in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, way)
        except ProcessLookupError:
            return
        with trio.move_on_after(seconds):
            await _ended(pid)
            return


def mounts_below(directory: str, mountinfo: Iterable[str]) -> list[str]:
    """The mount points under a folder, the deepest first. Pure."""
    places = [line.split()[4].encode().decode("unicode_escape") for line in mountinfo if line.strip()]
    return sorted((p for p in places if p.startswith(f"{directory}/")), key=len, reverse=True)


def _unmount(place: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(place.encode(), _MNT_DETACH):
        log.warning("not unmounted", place=place, error=os.strerror(ctypes.get_errno()))
