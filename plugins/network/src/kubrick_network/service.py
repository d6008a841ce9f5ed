"""The network as a component: collects the plugins, installs the shims, answers on a unix socket.

A call runs in a worker thread and is never cut off: a runtime that loses patience closes its end, and
the plugin still finishes what it began. The socket is for this user alone, which is checked.
"""

import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import trio
from attrs import define, field

from kubrick_kernel import ConfigurationError, Kernel, get_logger
from kubrick_network.contract import DEL, CNIPlugin
from kubrick_network.errors import CNIError
from kubrick_network.ledger import Ledger
from kubrick_network.lists import NetworkList, bridged_list, parse_list
from kubrick_network.networks import Networks
from kubrick_network.plugins import Plugins
from kubrick_network.shim import install
from kubrick_network.watch import Tables, lost_links

log = get_logger("network")

AT_ONCE = 8
LARGEST_REQUEST = 4 * 2**20
READ_SECONDS = 10.0
SETTLE_SECONDS = 0.2
"""Who deletes a bridge may delete more."""


@define(frozen=True)
class Settings:
    """Where things lie (relative: in the data directory), and the network that is made by default."""

    name: str = "kubrick"
    bridge: str = "kubrick0"
    pod_cidrs: tuple[str, ...] = ("10.244.0.0/24",)
    no_masquerade_cidrs: tuple[str, ...] = ()
    mtu: int = 0
    standard: tuple[str, ...] = ()
    """Plugins for which the program of that name is used, though there is a plugin of ours."""
    program_dirs: tuple[str, ...] = ("/opt/cni/bin", "/usr/lib/cni")
    bin_dir: str = "cni/bin"
    conf_dir: str = "cni/net.d"
    state_dir: str = "cni/state"
    socket: str = "cni/agent.sock"


@define(eq=False)
class Network:
    """Runs the plugins for whoever calls. `bin_dir` and `conf_dir` are what a runtime is told."""

    kernel: Kernel
    settings: Settings
    name: str = field(default="network", init=False)
    requires: tuple[str, ...] = field(default=("machine?",), init=False)
    plugins: Plugins = field(init=False)
    networks: Networks = field(init=False)
    ledger: Ledger = field(init=False)
    _disturbed: trio.Event = field(factory=trio.Event, init=False)

    @property
    def bin_dir(self) -> Path:
        return self._place(self.settings.bin_dir)

    @property
    def conf_dir(self) -> Path:
        return self._place(self.settings.conf_dir)

    def _place(self, path: str) -> Path:
        if os.path.isabs(path):
            return Path(path)
        if self.kernel.data_dir is None:
            raise ConfigurationError(f"without a data directory, [plugins.network] needs absolute paths, not {path!r}")
        return self.kernel.data_dir.absolute() / path

    def network(self) -> NetworkList:
        """The node's network."""
        chosen = self.settings
        return parse_list(
            bridged_list(
                chosen.name,
                chosen.bridge,
                chosen.pod_cidrs,
                data_dir=str(self._place(chosen.state_dir) / "networks"),
                mtu=chosen.mtu,
                except_ranges=chosen.no_masquerade_cidrs,
            )
        )

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        await trio.to_thread.run_sync(self.prepare)
        path = self._place(self.settings.socket)
        tables = Tables(self.plugins.tables, self._lost)
        async with trio.open_nursery() as nursery:
            if self.plugins.tables:
                nursery.start_soon(self._restore, tables.changed)
                nursery.start_soon(lost_links, self.ledger.interfaces, self._lost)
                nursery.start_soon(tables.run)

            def answer(name: str, environment: dict[str, str], stdin: bytes) -> tuple[int, bytes]:
                if environment.get("CNI_COMMAND") == DEL:
                    tables.leaving(environment.get("CNI_CONTAINERID", ""))
                return self.plugins.serve(name, environment, stdin)

            await serve(path, answer, task_status, tables.changed)

    def _lost(self) -> None:
        self._disturbed.set()

    async def _restore(self, noted: Callable[[], None]) -> None:
        """Put back what somebody else takes away, now or while nobody looked. `noted` has what there is then known;
        a second look finds what was lost before it was."""
        again = False
        while True:
            self._disturbed = trio.Event()
            restored = await trio.to_thread.run_sync(self.plugins.restore)
            if restored:
                log.info("the network of containers is complete again")
                noted()
            again = bool(restored) and not again
            if not again:
                await self._disturbed.wait()
            await trio.sleep(SETTLE_SECONDS)

    def prepare(self) -> None:
        """Collect the plugins and write the files a runtime reads. Blocks."""
        found: list[CNIPlugin] = [
            plugin
            for plugins in self.kernel.plugins.hook.kubrick_register_cni(kernel=self.kernel)
            for plugin in plugins
        ]
        self._check({plugin.name for plugin in found})
        folders = self.settings.program_dirs
        self.ledger = Ledger(self._place(self.settings.state_dir) / "ledger")
        self.plugins = Plugins(found, self.settings.standard, folders, self.ledger)
        self.networks = Networks(
            self.plugins, self._place(self.settings.state_dir) / "results", (str(self.bin_dir), *folders)
        )
        try:
            programs = {name: self.plugins.program(name) for name in self.settings.standard}
        except CNIError as error:
            raise ConfigurationError(f"[plugins.network] standard: {error}") from error
        install(self.bin_dir, self.plugins.names, str(self._place(self.settings.socket)), programs)
        self.conf_dir.mkdir(parents=True, exist_ok=True)
        file = self.conf_dir / f"10-{self.settings.name}.conflist"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(self.network().document, indent=2) + "\n")
        os.replace(fresh, file)

    def _check(self, names: set[str]) -> None:
        if unknown := set(self.settings.standard) - names:
            log.info("programs without a plugin of ours need not be listed as standard", names=sorted(unknown))

    async def teardown(self) -> None:
        """Detach every container and remove the network from the node."""
        await trio.to_thread.run_sync(self.networks.teardown, self.network())


Answer = Callable[[str, dict[str, str], bytes], tuple[int, bytes]]


async def serve(
    path: Path, answer: Answer, task_status: trio.TaskStatus[None], done: Callable[[], None] = lambda: None
) -> None:
    """Answer shims on a unix socket at `path` until cancelled; `done` is called after each."""
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def handle(stream: trio.SocketStream) -> None:
        try:
            _check_peer(stream)
            name, environment, config = parse_call(await _read(stream))
            code, output = await trio.to_thread.run_sync(answer, name, environment, config, limiter=limiter)
            done()
            try:
                with trio.move_on_after(READ_SECONDS):
                    await stream.send_all(b"%d\n%s" % (code, output))
            except trio.BrokenResourceError:
                # The runtime ended its program, as it does when the pod is deleted meanwhile: it calls DEL next.
                log.info("the runtime did not wait", plugin=name, command=environment.get("CNI_COMMAND", ""))
        except (ValueError, trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            log.warning("a call was dropped", why=str(error) or type(error).__name__)
        finally:
            await trio.aclose_forcefully(stream)

    listening = trio.socket.from_stdlib_socket(_listen(path))
    try:
        with listening:
            task_status.started()
            await trio.serve_listeners(handle, [trio.SocketListener(listening)])
    finally:
        _forget(path)


def _listen(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o600)
    listening.listen(128)
    return listening


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


def _check_peer(stream: trio.SocketStream) -> None:
    credentials = stream.socket.getsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_PEERCRED, struct.calcsize("3i"))
    assert isinstance(credentials, bytes)
    user = struct.unpack("3i", credentials)[1]
    if user not in (0, os.getuid()):
        raise ValueError(f"it came from user {user}")


async def _read(stream: trio.SocketStream) -> bytes:
    received = bytearray()
    with trio.fail_after(READ_SECONDS):
        while part := await stream.receive_some(65536):
            received += part
            if len(received) > LARGEST_REQUEST:
                raise ValueError(f"it is larger than {LARGEST_REQUEST} bytes")
    return bytes(received)


def parse_call(received: bytes) -> tuple[str, dict[str, str], bytes]:
    """Plugin's name, environment and standard input, as the shim sends them."""
    head, separator, config = received.partition(b"\0\0")
    if not separator:
        raise ValueError("it is not what the shim sends")
    name, *pairs = head.decode(errors="surrogateescape").split("\0")
    return name, dict(pair.partition("=")[::2] for pair in pairs), config
