"""The component "machine": what everything else on one machine stands on, made first and removed last.

The pods' bridge has to be there before the first pod, as the API server and the cluster's DNS listen on its
address: pods reach them there, whatever other addresses the machine has, and nobody outside does. The kernel's
switches are what routing between pods and rewriting bridged packets need. At the end, and only if the program
ends in order, whatever is mounted below the data directory is unmounted and the network taken down; a program
that was killed leaves it all to the next start, or to ``kubrick down``.
"""

import ctypes
import errno
import math
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network
from pathlib import Path

import trio

from kubrick_kernel import ConfigurationError, Kernel, get_logger
from kubrick_machine.switches import Switches
from kubrick_network.service import Network
from kubrick_node.cgroups import Cgroups
from kubrick_node.keeping import keeps_pods

log = get_logger("machine")

SWITCHES = {
    4: ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"),
    6: ("net/ipv6/conf/all/forwarding", "net/bridge/bridge-nf-call-ip6tables"),
}
"""By address family. The bridge's: a service's answer from a pod on the same bridge must pass the rules that
rewrote the question."""
FOLDERS = ("cni", "pods", "node")
"""What of the data directory is about running pods only."""
NAME = "\0kubrick/machine"
_MNT_DETACH = 2


def gateways(pod_cidrs: Iterable[str]) -> list[IPv4Interface | IPv6Interface]:
    """The bridge's addresses: the first of each range. Pure. Raises ConfigurationError."""
    try:
        networks = [ip_network(text) for text in pod_cidrs]
    except ValueError as error:
        raise ConfigurationError(f"[plugins.network] pod_cidrs: {error}") from None
    return [ip_interface(f"{network[1]}/{network.prefixlen}") for network in networks]


def mounts_below(directory: str, mountinfo: Iterable[str]) -> list[str]:
    """The mount points under a folder, the last mounted first. Pure."""
    places = [line.split()[4].encode().decode("unicode_escape") for line in mountinfo if line.strip()]
    return [place for place in reversed(places) if place.startswith(f"{directory}/")]


@contextmanager
def alone(name: str = NAME) -> Iterator[None]:
    """Be the only cluster on this machine's network while the block runs: bridge and rules have one name each.
    A name without a file belongs to a network namespace, and goes with the process. Raises ConfigurationError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        try:
            held.bind(name)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise ConfigurationError(
                "another cluster with real containers runs on this machine: stop it (kubrick down --data-dir ...), "
                "or use --profile hollow"
            ) from None
        yield


def bridge_filter(switches: Path, program: str = "modprobe") -> bool:
    """Whether packets within a bridge pass the rules: it takes a module, which is loaded if it isn't there."""
    if switches.is_dir():
        return True
    found = shutil.which(program)
    if found is not None:
        subprocess.run([found, "br_netfilter"], check=False, capture_output=True)  # noqa: S603 -- modprobe itself
    return switches.is_dir()


class Ground:
    """See the module."""

    name = "machine"
    requires: tuple[str, ...] = ()

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._switches = Switches(kernel.data_dir / "switches.json" if kernel.data_dir else None)
        self._mac = ""

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        if os.geteuid() != 0:
            raise ConfigurationError("real containers need root: run as root, or use --profile hollow")
        with alone():
            await trio.to_thread.run_sync(self._make_bridge)
            try:
                task_status.started()
                await self._keep_bridge()
            finally:
                in_order = trio.current_effective_deadline() == -math.inf
                if in_order and not keeps_pods(self._kernel):
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(self._clear)

    async def _keep_bridge(self) -> None:
        """Make the bridge again when somebody else removes it; its ports are the network's concern."""
        from kubrick_network.watch import lost_links

        name, lost = self._kernel.settings("network").bridge, trio.Event()

        def removed() -> None:
            lost.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lost_links, lambda: {name}, removed)
            while True:
                await lost.wait()
                lost = trio.Event()
                if await trio.to_thread.run_sync(self._make_bridge):
                    log.warning("somebody else took the bridge away; it was made again", bridge=name)

    def _make_bridge(self) -> bool:
        """Whether something of it was missing."""
        from kubrick_machine import routes
        from kubrick_network.netlink import IPRoute, add_address, addresses, find_link, need_link

        chosen = self._kernel.settings("network")
        wanted = gateways(chosen.pod_cidrs)
        with IPRoute() as ip:
            loopback = need_link(ip, "lo")
            if not loopback.up:
                ip.link("set", index=loopback.index, state="up")
            link = find_link(ip, chosen.bridge)
            missing = link is None or not link.up
            if link is None:
                ip.link("add", ifname=chosen.bridge, kind="bridge")
                link = need_link(ip, chosen.bridge)
                # Else it would take the lowest address of its ports, and neighbours lose it when that changes.
                ip.link("set", index=link.index, address=self._mac or link.mac)
            elif link.kind != "bridge":
                raise ConfigurationError(
                    f"the interface {chosen.bridge} is no bridge: name another, [plugins.network] bridge"
                )
            self._mac = self._mac or link.mac
            ip.link("set", index=link.index, state="up")
            there = addresses(ip, link.index)
            for address in wanted:
                if str(address) not in there:
                    add_address(ip, link.index, address)
            routes.add(ip, self._routes())
        if not bridge_filter(Path("/proc/sys/net/bridge")):
            log.warning(
                "the kernel's module br_netfilter is missing: a pod may not reach a Service whose pod is on its bridge"
            )
        for version in {address.version for address in wanted}:
            for switch in SWITCHES[version]:
                self._switches.turn_on(switch)
        return missing

    def _routes(self) -> list[tuple[str, str]]:
        from kubrick_machine.routes import planned

        try:
            ranges = str(self._kernel.settings("apiserver").service_cluster_ip_range).split(",")
        except (LookupError, AttributeError):
            return []
        return list(planned(ranges, gateways(self._kernel.settings("network").pod_cidrs)))

    def _clear(self) -> None:
        from kubrick_machine import routes
        from kubrick_network.errors import CNIError
        from kubrick_network.netlink import IPRoute, NetlinkError

        network = self._kernel.find(Network)
        try:
            network.prepare()  # it may not have come so far itself
            with IPRoute() as ip:
                routes.remove(ip, self._routes())
            network.networks.teardown(network.network())
            _remove_bridge(self._kernel.settings("network").bridge)
        except (CNIError, NetlinkError, OSError) as error:
            log.warning("the network was not taken down in full", reason=str(error))
        self._switches.put_back()
        if self._kernel.data_dir is None:
            return
        directory = self._kernel.data_dir.resolve()
        for place in mounts_below(str(directory), Path("/proc/self/mountinfo").read_text().splitlines()):
            _unmount(place)
        left = mounts_below(str(directory), Path("/proc/self/mountinfo").read_text().splitlines())
        if left:
            log.warning("mounts stay behind", places=left)
            return  # what is still mounted would be emptied
        Cgroups(self._kernel.settings("node").cgroups).remove_all()
        for folder in FOLDERS:
            shutil.rmtree(directory / folder, ignore_errors=True)


def _remove_bridge(name: str) -> None:
    """A program in the place of our plugin leaves it; somebody who is still on it keeps it."""
    from kubrick_network.netlink import IPRoute, delete_link, find_link, ports

    with IPRoute() as ip:
        link = find_link(ip, name)
        if link is not None and link.kind == "bridge" and not ports(ip, link.index):
            delete_link(ip, name)


def _unmount(place: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(place), _MNT_DETACH):
        log.warning("not unmounted", place=place, error=os.strerror(ctypes.get_errno()))
