"""The few questions and changes our plugins have for rtnetlink, over pyroute2's `IPRoute`.

pyroute2 takes long to import: this module is imported when the first plugin is made, never before.
"""

import errno
from typing import Any

from attrs import frozen
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kubrick_network.errors import IO_FAILURE, CNIError
from kubrick_network.result import IPInterface, Route

__all__ = ["IPRoute", "Link", "NetlinkError", "add_address", "add_route", "addresses", "delete_link", "find_link"]

UP = 1
IFA_F_NODAD = 0x02


@frozen
class Link:
    index: int
    name: str
    mac: str
    mtu: int
    kind: str
    up: bool
    master: int
    alias: str
    forwarding: bool
    raw: Any


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info else ""
    port = info.get_attr("IFLA_INFO_SLAVE_DATA") if info and info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge" else None
    return Link(
        message["index"],
        message.get_attr("IFLA_IFNAME"),
        message.get_attr("IFLA_ADDRESS") or "",
        message.get_attr("IFLA_MTU") or 0,
        kind or "",
        bool(message["flags"] & UP),
        message.get_attr("IFLA_MASTER") or 0,
        message.get_attr("IFLA_IFALIAS") or "",
        port is not None and port.get_attr("IFLA_BRPORT_STATE") == 3,
        message,
    )


def find_link(ip: IPRoute, name: str) -> Link | None:
    """The interface called `name`."""
    try:
        return next((_link(message) for message in ip.link("get", ifname=name)), None)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise


def need_link(ip: IPRoute, name: str) -> Link:
    link = find_link(ip, name)
    if link is None:
        raise CNIError(IO_FAILURE, f"failed to lookup {name!r}", "Link not found")
    return link


def ports(ip: IPRoute, master: int) -> list[Link]:
    """The interfaces whose master is `master`."""
    return [_link(message) for message in ip.get_links(master=master)]


def delete_link(ip: IPRoute, name: str) -> bool:
    """Remove the interface; False if there is none."""
    try:
        ip.link("del", ifname=name)
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise
        return False
    return True


def addresses(ip: IPRoute, index: int) -> set[str]:
    """Addresses with prefix ("10.1.2.3/24") of an interface."""
    return {f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}" for message in ip.get_addr(index=index)}


def add_address(ip: IPRoute, index: int, address: IPInterface, *, dad: bool = False) -> None:
    """Give an interface an address; one that it has is left."""
    more: dict[str, Any] = {}
    if address.version == 6 and not dad:
        more["flags"] = IFA_F_NODAD
    elif address.version == 4 and address.network.prefixlen < 31:
        more["broadcast"] = str(address.network.broadcast_address)
    try:
        ip.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **more)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


def add_route(ip: IPRoute, index: int, route: Route) -> None:
    """Add a route through the interface; one that is there is left."""
    more: dict[str, Any] = {}
    if route.gw is not None:
        more["gateway"] = str(route.gw)
    if route.priority:
        more["priority"] = route.priority
    if route.table is not None:
        more["table"] = route.table
    if route.scope is not None:
        more["scope"] = route.scope
    elif route.gw is None:
        more["scope"] = 253  # on the link
    metrics = {key: value for key, value in (("mtu", route.mtu), ("advmss", route.advmss)) if value}
    if metrics:
        more["metrics"] = metrics
    try:
        ip.route("add", dst=str(route.dst), oif=index, **more)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
