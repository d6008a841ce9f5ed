"""Makes, looks at and removes the links of a plan: the bridge, the pair, addresses and routes."""

import errno
import os
import threading
from collections.abc import Callable
from ipaddress import ip_interface
from typing import Any

from attrs import evolve

from kubrick_cni_bridge.plan import Plan, Settings
from kubrick_network import CNIError, Interface
from kubrick_network.errors import CHECK_FAILED, INVALID_CONFIGURATION, IO_FAILURE, UNSUPPORTED_FIELD
from kubrick_network.namespace import inside, open_namespace, sysctl
from kubrick_network.netlink import (
    IPRoute,
    Link,
    NetlinkError,
    add_address,
    add_route,
    addresses,
    delete_link,
    find_link,
    need_link,
    ports,
)

_PROMISCUOUS = 0x100
_VLAN_SELF, _VLAN_PVID, _VLAN_UNTAGGED = 2, 2, 4
_FORWARDING_WITHIN = 2.0
_LOOK_AGAIN = 0.001
_bridge = threading.Lock()
"""One at a time makes a bridge and gives it addresses."""


def attach(plan: Plan, netns: str) -> tuple[Interface, Interface, Interface]:
    """Make everything of `plan`; returns bridge, host's end, container's end. Raises what the kernel
    says, and leaves the pair: `detach` removes it."""
    settings = plan.settings
    with IPRoute() as ip:
        with _bridge:
            bridge = _ensure_bridge(ip, settings)
            _ensure_gateways(ip, plan, bridge)
        host = _make_pair(ip, plan, bridge, netns)
        mac = inside(netns, lambda: _configure(plan))
        _wait_until_forwarding(ip, plan.host)
    if plan.addresses:
        inside(netns, lambda: _announce(plan.ifname, mac))
    return (
        Interface(settings.bridge, bridge.mac, bridge.mtu),
        Interface(plan.host, host.mac, host.mtu),
        Interface(plan.ifname, mac, host.mtu, sandbox=netns),
    )


def restore(plan: Plan, netns: str, mac: str, bridge_mac: str) -> None:
    """Make what is missing of `plan` again, with the MAC addresses that neighbours know."""
    with IPRoute() as ip:
        with _bridge:
            bridge = _ensure_bridge(ip, plan.settings, bridge_mac)
            _ensure_gateways(ip, plan, bridge)
        host = find_link(ip, plan.host)
        if host is None:
            again = evolve(plan, settings=evolve(plan.settings, mac=mac or plan.settings.mac))
            _make_pair(ip, again, bridge, netns)
        else:
            _connect(ip, plan, bridge, host)
        inside(netns, lambda: _configure(plan))
        _wait_until_forwarding(ip, plan.host)


def _ensure_bridge(ip: IPRoute, settings: Settings, mac: str = "") -> Link:
    name = settings.bridge
    link = find_link(ip, name)
    if link is None:
        more = {"mtu": settings.mtu} if settings.mtu else {}
        try:
            ip.link("add", ifname=name, kind="bridge", **more)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
        link = need_link(ip, name)
        # A bridge takes the lowest MAC address of its ports, and neighbours lose it when that changes,
        # unless somebody sets one: so it keeps what it was born with.
        ip.link("set", index=link.index, address=mac or link.mac)
        sysctl(f"net/ipv6/conf/{name}/accept_ra", 0)
    if link.kind != "bridge":
        raise CNIError(INVALID_CONFIGURATION, f"{name!r} already exists but is not a bridge", f"it is {link.kind!r}")
    if settings.promiscuous and not link.raw["flags"] & _PROMISCUOUS:
        ip.link("set", index=link.index, flags=_PROMISCUOUS, mask=_PROMISCUOUS)
    if settings.vlan and not _filters_vlans(link):
        try:
            ip.link("set", index=link.index, kind="bridge", br_vlan_filtering=1)
        except NetlinkError as error:
            if error.code != errno.EOPNOTSUPP:
                raise
            raise CNIError(UNSUPPORTED_FIELD, "vlan needs a kernel whose bridges filter VLANs", name) from error
    if not link.up:
        ip.link("set", index=link.index, state="up")
    return link


def _filters_vlans(link: Link) -> bool:
    data = link.raw.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    return bool(data and data.get_attr("IFLA_BR_VLAN_FILTERING"))


def _ensure_gateways(ip: IPRoute, plan: Plan, bridge: Link) -> None:
    """Give the gateway's addresses to who has them, and let the host forward."""
    if not plan.gateways:
        return
    link = _vlan_interface(ip, plan, bridge) if plan.settings.vlan else bridge
    there = addresses(ip, link.index)
    for gateway in plan.gateways:
        if gateway.version == 6:
            sysctl(f"net/ipv6/conf/{link.name}/disable_ipv6", 0)
        if str(gateway) in there:
            continue
        for text in there:
            old = ip_interface(text)
            if old.version != gateway.version or old.is_link_local:
                continue
            if old.version == 6 and not old.network.overlaps(gateway.network):
                continue
            if not plan.settings.force_address:
                raise CNIError(
                    INVALID_CONFIGURATION,
                    f"failed to set bridge addr: {link.name!r} already has an IP address different from {gateway}",
                    f"it has {text}; forceAddress replaces it",
                )
            ip.addr("delete", index=link.index, address=str(old.ip), prefixlen=old.network.prefixlen)
        add_address(ip, link.index, gateway)
    for version in {gateway.version for gateway in plan.gateways}:
        sysctl("net/ipv4/ip_forward" if version == 4 else "net/ipv6/conf/all/forwarding", 1)


def _vlan_interface(ip: IPRoute, plan: Plan, bridge: Link) -> Link:
    """The bridge's own interface in the plan's VLAN."""
    name, vlan = plan.gateway_interface, plan.settings.vlan
    link = find_link(ip, name)
    if link is None:
        ip.vlan_filter("add", index=bridge.index, vlan_flags=_VLAN_SELF, vlan_info={"vid": vlan, "flags": 0})
        ip.link("add", ifname=name, kind="vlan", link=bridge.index, vlan_id=vlan)
        link = need_link(ip, name)
        ip.link("set", index=link.index, state="up")
    return link


def _make_pair(ip: IPRoute, plan: Plan, bridge: Link, netns: str) -> Link:
    """The pair, one end a port of the bridge, the other under its final name in the container."""
    settings = plan.settings
    namespace = open_namespace(netns)
    try:
        peer: dict[str, Any] = {"ifname": plan.ifname, "net_ns_fd": namespace}
        more: dict[str, Any] = {}
        if settings.mac:
            peer["address"] = settings.mac
        if settings.mtu:
            peer["mtu"] = more["mtu"] = settings.mtu
        pair = {"ifname": plan.host, "kind": "veth", "peer": peer, **more}
        try:
            ip.link("add", **pair)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
            if not delete_link(ip, plan.host):  # else it is of an ADD that was cut off
                raise CNIError(IO_FAILURE, f"container veth name ({plan.ifname!r}) already exists", netns) from error
            ip.link("add", **pair)
    finally:
        os.close(namespace)
    host = need_link(ip, plan.host)
    _connect(ip, plan, bridge, host)
    return host


def _connect(ip: IPRoute, plan: Plan, bridge: Link, host: Link) -> None:
    """Make the host's end a port of the bridge."""
    settings = plan.settings
    sysctl(f"net/ipv6/conf/{plan.host}/accept_ra", 0)
    ip.link("set", index=host.index, master=bridge.index, state="up", IFLA_IFALIAS=plan.alias)
    port = {"IFLA_BRPORT_MODE": 1} if settings.hairpin else {}
    if settings.isolated:
        port["IFLA_BRPORT_ISOLATED"] = 1
    if port:
        ip.brport("set", index=host.index, **port)
    if settings.vlan:
        if not settings.keep_default_vlan:
            ip.vlan_filter("del", index=host.index, vlan_info={"vid": 1, "flags": 0})
        flags = _VLAN_PVID | _VLAN_UNTAGGED
        ip.vlan_filter("add", index=host.index, vlan_info={"vid": settings.vlan, "flags": flags})


def _configure(plan: Plan) -> str:
    """Inside the container: addresses, up, routes. Returns the interface's MAC address."""
    detect = plan.settings.duplicate_address_detection
    if 6 in plan.versions:
        sysctl(f"net/ipv6/conf/{plan.ifname}/disable_ipv6", 0)
        sysctl(f"net/ipv6/conf/{plan.ifname}/accept_dad", int(detect))
    with IPRoute() as ip:
        link = need_link(ip, plan.ifname)
        for address in plan.addresses:
            add_address(ip, link.index, address, dad=detect)
        ip.link("set", index=link.index, state="up")
        for route in plan.routes:
            add_route(ip, link.index, route)
        return link.mac


def _wait_until_forwarding(ip: IPRoute, name: str) -> None:
    """A port forwards a moment after both ends are up; a packet sent before is lost."""
    pause = threading.Event()
    for _ in range(int(_FORWARDING_WITHIN / _LOOK_AGAIN)):
        if need_link(ip, name).forwarding:
            return
        pause.wait(_LOOK_AGAIN)
    raise CNIError(IO_FAILURE, f"bridge port {name!r} is not forwarding", f"after {_FORWARDING_WITHIN:.0f} s")


def _announce(ifname: str, mac: str) -> None:
    """Tell neighbours who has the addresses now, as caches may know their last owners: the kernel sends
    gratuitous ARP and unsolicited neighbour advertisements when an interface is given its MAC address.
    (Closing a packet socket of our own would wait 20 ms for a grace period.)"""
    sysctl(f"net/ipv4/conf/{ifname}/arp_notify", 1)
    sysctl(f"net/ipv6/conf/{ifname}/ndisc_notify", 1)
    with IPRoute() as ip:
        ip.link("set", index=need_link(ip, ifname).index, address=mac)


def detach(host: str, ifname: str, netns: str) -> None:
    """Remove the pair by either end. The namespace may be gone."""
    with IPRoute() as ip:
        if delete_link(ip, host) or not netns:
            return

    def remove() -> None:
        with IPRoute() as ip:
            delete_link(ip, ifname)

    inside(netns, remove)


def check(plan: Plan, netns: str, mac: str) -> None:
    """Raise CNIError when a link, an address or a route of `plan` isn't there."""

    def failed(what: str) -> CNIError:
        return CNIError(CHECK_FAILED, what)

    with IPRoute() as ip:
        bridge = find_link(ip, plan.settings.bridge)
        if bridge is None or bridge.kind != "bridge":
            raise failed(f"bridge {plan.settings.bridge!r} is missing")
        if not bridge.up:
            raise failed(f"bridge {bridge.name!r} is down")
        host = find_link(ip, plan.host)
        if host is None:
            raise failed(f"host interface {plan.host!r} is missing")
        if host.master != bridge.index:
            raise failed(f"host interface {plan.host!r} is no port of {bridge.name!r}")
        gateway = find_link(ip, plan.gateway_interface)
        there = addresses(ip, gateway.index) if gateway else set()
        for address in plan.gateways:
            if str(address) not in there:
                raise failed(f"{plan.gateway_interface!r} lacks the gateway address {address}")
    inside(netns, lambda: _check_inside(plan, mac, failed))


def _check_inside(plan: Plan, mac: str, failed: Callable[[str], CNIError]) -> None:
    with IPRoute() as ip:
        link = find_link(ip, plan.ifname)
        if link is None:
            raise failed(f"container interface {plan.ifname!r} is missing")
        if not link.up:
            raise failed(f"container interface {plan.ifname!r} is down")
        if mac and link.mac != mac:
            raise failed(f"container interface {plan.ifname!r} has MAC {link.mac}, not {mac}")
        there = addresses(ip, link.index)
        for address in plan.addresses:
            if str(address) not in there:
                raise failed(f"container interface {plan.ifname!r} lacks {address}")
        known = {(_destination(message), message.get_attr("RTA_GATEWAY")) for message in ip.get_routes(oif=link.index)}
        for route in plan.routes:
            if (str(route.dst), str(route.gw) if route.gw else None) not in known:
                raise failed(f"the container's route to {route.dst} is missing")


def _destination(message: Any) -> str:
    everywhere = "0.0.0.0" if message["family"] == 2 else "::"  # noqa: S104  # a route, not a socket
    return f"{message.get_attr('RTA_DST') or everywhere}/{message['dst_len']}"


def sweep(bridge: str, stale: Callable[[str], bool]) -> None:
    """Remove the bridge's ports whose alias is `stale`."""
    with IPRoute() as ip:
        link = find_link(ip, bridge)
        for port in ports(ip, link.index) if link else ():
            if stale(port.alias):
                delete_link(ip, port.name)


def remove_bridge(name: str, vlan_interface: str) -> None:
    """Remove the bridge, unless somebody still is on it."""
    with IPRoute() as ip:
        link = find_link(ip, name)
        if link is not None and link.kind == "bridge" and not ports(ip, link.index):
            if vlan_interface != name:
                delete_link(ip, vlan_interface)
            delete_link(ip, name)
