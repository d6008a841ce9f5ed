"""What an ADD made: interfaces, addresses, routes, DNS; read from and written as any result version.

Inside, a result has the shape of version 1.1.0. Older versions lack some of it (CNI specification,
"Conversion"): before 1.0.0 an address says its family and an interface is only a name, a MAC and a sandbox.
"""

from collections.abc import Mapping, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any

from attrs import evolve, field, frozen

from kubrick_network.errors import DECODING_FAILURE, INCOMPATIBLE_VERSION, CNIError

SUPPORTED = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
LATEST = SUPPORTED[-1]

IP = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network


@frozen
class Interface:
    """A network interface; `sandbox` is the network namespace's path, "" for the host's."""

    name: str
    mac: str = ""
    mtu: int = 0
    sandbox: str = ""
    socket_path: str = ""
    pci_id: str = ""


@frozen
class Address:
    """An address with its prefix; `interface` is an index into the result's interfaces."""

    address: IPInterface
    gateway: IP | None = None
    interface: int | None = None


@frozen
class Route:
    dst: IPNetwork
    gw: IP | None = None
    mtu: int = 0
    advmss: int = 0
    priority: int = 0
    table: int | None = None
    scope: int | None = None


@frozen
class DNS:
    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@frozen
class Result:
    interfaces: tuple[Interface, ...] = ()
    ips: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: DNS = field(factory=DNS)

    def sandbox_ips(self) -> list[Address]:
        """The addresses inside the container: those of sandboxed interfaces, or of none in particular."""
        return [
            ip
            for ip in self.ips
            if ip.interface is None or ip.interface >= len(self.interfaces) or self.interfaces[ip.interface].sandbox
        ]


def at_least(version: str, minimum: str) -> bool:
    """Whether `version` is `minimum` or later. Raises CNIError when it is no version."""
    return _numbers(version) >= _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    try:
        major, minor, patch = (int(part) for part in version.split("."))
    except ValueError:
        raise CNIError(INCOMPATIBLE_VERSION, f"cniVersion {version!r} is not of the form 1.0.0") from None
    return major, minor, patch


def parse_result(document: Any) -> Result:
    """A result of any supported version. Raises CNIError (decoding failure) naming the place."""
    try:
        return Result(
            interfaces=tuple(_interface(one) for one in document.get("interfaces") or ()),
            ips=tuple(_address(one) for one in document.get("ips") or ()),
            routes=tuple(_route(one) for one in document.get("routes") or ()),
            dns=_dns(document.get("dns") or {}),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CNIError(DECODING_FAILURE, "the result is not one CNI defines", _said(error)) from error


def _said(error: Exception) -> str:
    return f"the key {error} is missing" if isinstance(error, KeyError) else str(error)


def _interface(one: Mapping[str, Any]) -> Interface:
    return Interface(
        str(one["name"]),
        str(one.get("mac") or ""),
        int(one.get("mtu") or 0),
        str(one.get("sandbox") or ""),
        str(one.get("socketPath") or ""),
        str(one.get("pciID") or ""),
    )


def _address(one: Mapping[str, Any]) -> Address:
    gateway = one.get("gateway")
    index = one.get("interface")
    return Address(
        ip_interface(one["address"]),
        ip_address(gateway) if gateway else None,
        None if index is None else int(index),
    )


def _route(one: Mapping[str, Any]) -> Route:
    gateway = one.get("gw")
    table, scope = one.get("table"), one.get("scope")
    return Route(
        ip_network(one["dst"], strict=False),
        ip_address(gateway) if gateway else None,
        int(one.get("mtu") or 0),
        int(one.get("advmss") or 0),
        int(one.get("priority") or 0),
        None if table is None else int(table),
        None if scope is None else int(scope),
    )


def _dns(one: Mapping[str, Any]) -> DNS:
    def words(key: str) -> tuple[str, ...]:
        return tuple(str(word) for word in one.get(key) or ())

    return DNS(words("nameservers"), str(one.get("domain") or ""), words("search"), words("options"))


def render_result(result: Result, version: str) -> dict[str, Any]:
    """`result` as an object of `version`; what that version can't say is left out."""
    if version not in SUPPORTED:
        raise CNIError(INCOMPATIBLE_VERSION, f"cannot convert a result to version {version!r}", _versions())
    old = not at_least(version, "1.0.0")
    new = at_least(version, "1.1.0")
    document: dict[str, Any] = {"cniVersion": version}
    if result.interfaces:
        document["interfaces"] = [_interface_document(one, new) for one in result.interfaces]
    if result.ips:
        document["ips"] = [_address_document(one, old) for one in result.ips]
    if result.routes:
        document["routes"] = [_route_document(one, new) for one in result.routes]
    dns = {
        "nameservers": list(result.dns.nameservers),
        "domain": result.dns.domain,
        "search": list(result.dns.search),
        "options": list(result.dns.options),
    }
    document["dns"] = {key: value for key, value in dns.items() if value}
    return document


def _versions() -> str:
    return f"supported are {', '.join(SUPPORTED)}"


def _interface_document(one: Interface, new: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"name": one.name}
    if one.mac:
        document["mac"] = one.mac
    if new and one.mtu:
        document["mtu"] = one.mtu
    if one.sandbox:
        document["sandbox"] = one.sandbox
    if new and one.socket_path:
        document["socketPath"] = one.socket_path
    if new and one.pci_id:
        document["pciID"] = one.pci_id
    return document


def _address_document(one: Address, old: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"version": str(one.address.version)} if old else {}
    if one.interface is not None:
        document["interface"] = one.interface
    document["address"] = str(one.address)
    if one.gateway is not None:
        document["gateway"] = str(one.gateway)
    return document


def _route_document(one: Route, new: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"dst": str(one.dst)}
    if one.gw is not None:
        document["gw"] = str(one.gw)
    if new:
        extra = {"mtu": one.mtu or None, "advmss": one.advmss or None, "priority": one.priority or None}
        extra |= {"table": one.table, "scope": one.scope}
        document |= {key: value for key, value in extra.items() if value is not None}
    return document


def downgraded(result: Result, version: str) -> Result:
    """What is left of `result` after a reader of `version` has seen it."""
    if at_least(version, "1.1.0"):
        return result
    interfaces: Sequence[Interface] = [Interface(one.name, one.mac, sandbox=one.sandbox) for one in result.interfaces]
    return evolve(result, interfaces=tuple(interfaces), routes=tuple(Route(one.dst, one.gw) for one in result.routes))
