"""The plugin portmap: compares what a container's host ports want with the table, and changes it."""

import threading
from collections.abc import Callable
from pathlib import Path

from kubrick_cni_portmap.rules import (
    DELETE_TABLE,
    FAMILY,
    TABLE,
    TABLE_TEXT,
    Rule,
    Settings,
    headless,
    network_mark,
    owned,
    owner,
    read_settings,
    removal,
    rules,
    whose,
)
from kubrick_kernel import get_logger
from kubrick_network import SUPPORTED, CNIError, Request, Result, invalid
from kubrick_network.conntrack import forget_udp
from kubrick_network.errors import CHECK_FAILED
from kubrick_network.namespace import sysctl
from kubrick_network.netlink import IPRoute, NetlinkError
from kubrick_network.nft import apply, list_table

log = get_logger("portmap")
_table = threading.Lock()
"""Between listing the table and changing it nobody else may."""


class PortMap:
    """Forwards the runtime's port mappings to the container that the plugins before it connected."""

    name = "portmap"
    versions = SUPPORTED
    tables = (TABLE,)

    def add(self, request: Request) -> Result:
        return self._add(request, anew=False)

    def _add(self, request: Request, anew: bool) -> Result:
        """`anew`: also the rules that are everybody's, though the table is there."""
        settings, previous, holder = read_settings(request), request.previous, _owner(request)
        if previous is None:
            raise invalid("must be called as chained plugin", "portmap needs the prevResult of a plugin before it")
        if settings.mappings:
            ips = previous.sandbox_ips()
            if not ips:
                raise invalid("portmap found no address in prevResult", "a plugin before it must give one")
            wanted = rules(settings, holder, ips)
            _let_localhost_out(settings, wanted, [str(one.address.ip) for one in ips])
            with _table:
                removed = _without(lambda comment: whose(comment) == holder)
                there = removed and not removed.startswith(DELETE_TABLE)
                create = "" if there and not anew else TABLE_TEXT
                apply(removed + create + "".join(rule.command for rule in wanted))
            _forget_clients(settings, {one.address.version for one in ips})
        return previous

    def delete(self, request: Request) -> None:
        holder = _owner(request)
        with _table:
            apply(_without(lambda comment: whose(comment) == holder))

    def check(self, request: Request) -> None:
        settings, previous = read_settings(request), request.previous
        if previous is None:
            raise invalid("Required prevResult missing")
        wanted = rules(settings, _owner(request), previous.sandbox_ips())
        if not wanted:
            return
        listing = list_table(FAMILY, TABLE)
        if empty := headless(listing):
            raise CNIError(CHECK_FAILED, f"portmap: no rules in {', '.join(empty)}")
        there = {comment for comment, _, _ in owned(listing)}
        lacking = [rule.text for rule in wanted if rule.comment not in there]
        if lacking:
            raise CNIError(CHECK_FAILED, f"portmap: {len(lacking)} rules are missing", "; ".join(lacking))

    def restore(self, request: Request) -> None:
        self._add(request, anew=True)

    def gc(self, request: Request) -> None:
        valid = {owner(request.network, *pair) for pair in request.valid_attachments()}
        mark = network_mark(request.network)
        with _table:
            apply(_without(lambda comment: comment.startswith(mark) and whose(comment) not in valid))

    def status(self, request: Request) -> None:
        read_settings(request)
        list_table(FAMILY, TABLE)

    def teardown(self, request: Request) -> None:
        with _table:
            if list_table(FAMILY, TABLE):
                apply(DELETE_TABLE)


def _owner(request: Request) -> str:
    return owner(request.network, *request.attachment)


def _without(gone: Callable[[str], bool]) -> str:
    """Commands that remove the rules whose comments are `gone`."""
    listing = list_table(FAMILY, TABLE)
    return removal(listing, [rule for rule in owned(listing) if gone(rule[0])])


def _forget_clients(settings: Settings, versions: set[int]) -> None:
    """UDP clients that kept on sending while nobody was there are to find who is now."""
    ports = [one.host_port for one in settings.mappings if one.protocol == "udp"]
    for version in versions if ports else ():
        try:
            forget_udp(ports, version)
        except (OSError, NetlinkError) as error:
            log.warning("UDP clients may not find the container", ports=ports, error=str(error))


def _let_localhost_out(settings: Settings, wanted: list[Rule], ips: list[str]) -> None:
    """Packets from 127.0.0.1 may leave by the interface that leads to the container."""
    address = next((one for one in ips if ":" not in one), "")
    if not (settings.snat and wanted and address):
        return
    with IPRoute() as ip:
        route = next(iter(ip.route("get", dst=address)), None)
        index = route.get_attr("RTA_OIF") if route else None
        name = ip.get_links(index)[0].get_attr("IFLA_IFNAME") if index else None
    if name and name != "lo" and Path(f"/proc/sys/net/ipv4/conf/{name}").is_dir():
        sysctl(f"net/ipv4/conf/{name}/route_localnet", 1)
