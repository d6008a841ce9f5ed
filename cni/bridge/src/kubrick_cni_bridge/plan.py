"""What links, addresses and routes an attachment should have. Pure.

Configuration keys are those of containernetworking's bridge, and one more: ``ipMasqExcept``, networks
to which pods' packets keep their source address (other nodes' pods).
"""

import hashlib
import re
from ipaddress import collapse_addresses, ip_interface, ip_network
from typing import Any

from attrs import evolve, frozen

from kubrick_network import Address, Request, Result, Route, invalid
from kubrick_network.errors import UNSUPPORTED_FIELD, CNIError
from kubrick_network.request import check_interface_name
from kubrick_network.result import IP, IPInterface, IPNetwork

DEFAULT_BRIDGE = "cni0"
ALIAS = "kubrick"
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_UNSUPPORTED = ("vlanTrunk", "macspoofchk", "disableContainerInterface")
_EVERYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
_MULTICAST = {4: ip_network("224.0.0.0/4"), 6: ip_network("ff00::/8")}


@frozen
class Settings:
    bridge: str = DEFAULT_BRIDGE
    is_gateway: bool = False
    is_default_gateway: bool = False
    force_address: bool = False
    masquerade: bool = False
    masquerade_except: tuple[IPNetwork, ...] = ()
    mtu: int = 0
    hairpin: bool = False
    promiscuous: bool = False
    vlan: int = 0
    keep_default_vlan: bool = True
    isolated: bool = False
    duplicate_address_detection: bool = False
    mac: str = ""
    ipam: str = ""


def read_settings(request: Request) -> Settings:
    """Raises CNIError saying what is wrong."""
    config = request.config

    def switch(key: str, default: bool = False) -> bool:
        value = config.get(key, default)
        if not isinstance(value, bool):
            raise invalid(f"{key} must be true or false, not {value!r}")
        return value

    def number(key: str, most: int) -> int:
        value = config.get(key) or 0
        if type(value) is not int or not 0 <= value <= most:
            raise invalid(f"invalid {key} {value!r} (must be between 0 and {most})")
        return value

    for key in _UNSUPPORTED:
        if config.get(key):
            raise CNIError(UNSUPPORTED_FIELD, f"{key} is not supported")
    bridge = config.get("bridge") or DEFAULT_BRIDGE
    if not isinstance(bridge, str):
        raise invalid(f"bridge must be a name, not {bridge!r}")
    check_interface_name(bridge)
    settings = Settings(
        bridge,
        switch("isGateway") or switch("isDefaultGateway"),
        switch("isDefaultGateway"),
        switch("forceAddress"),
        switch("ipMasq"),
        _networks(config.get("ipMasqExcept") or ()),
        number("mtu", 65535),
        switch("hairpinMode"),
        switch("promiscMode"),
        number("vlan", 4094),
        switch("preserveDefaultVlan", True),
        switch("portIsolation"),
        switch("enabledad"),
        _mac(request),
        str((config.get("ipam") or {}).get("type") or ""),
    )
    if settings.hairpin and settings.promiscuous:
        raise invalid("cannot set hairpin mode and promiscuous mode at the same time")
    if settings.masquerade and not settings.ipam:
        raise invalid("ipMasq needs an ipam: without addresses there is nothing to masquerade")
    return settings


def _networks(listed: Any) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ip_network(text, strict=False) for text in listed)
    except (ValueError, TypeError) as error:
        raise invalid("ipMasqExcept must be a list of networks", str(error)) from error


def _mac(request: Request) -> str:
    """The MAC address asked for: of the runtime, of args.cni, of CNI_ARGS or of the configuration."""
    arguments = (request.config.get("args") or {}).get("cni") or {}
    asked = (request.runtime.get("mac"), arguments.get("mac"), request.args.get("MAC"), request.config.get("mac"))
    mac = str(next((one for one in asked if one), "")).lower()
    if mac and not _MAC.fullmatch(mac):
        raise invalid(f"invalid MAC address {mac!r}", "six pairs of hexadecimal digits with colons")
    return mac


def host_name(request: Request) -> str:
    """The name of the host's end: the same for the same attachment, so that it is found again."""
    key = "\0".join((request.network, request.container_id, request.ifname))
    return f"veth{hashlib.sha256(key.encode()).hexdigest()[:10]}"


def alias(network: str, container_id: str, ifname: str) -> str:
    """What the host's end says of itself (the kernel keeps 255 bytes)."""
    return f"{ALIAS} {network} {container_id} {ifname}"[:250]


@frozen
class Plan:
    """What should be. `gateways` are the bridge's addresses; `masquerade` maps a container's address to
    the networks it keeps its source for."""

    settings: Settings
    host: str
    alias: str
    ifname: str
    addresses: tuple[IPInterface, ...] = ()
    routes: tuple[Route, ...] = ()
    gateways: tuple[IPInterface, ...] = ()
    masquerade: tuple[tuple[IP, tuple[IPNetwork, ...]], ...] = ()
    ips: tuple[Address, ...] = ()
    """As the result tells them."""
    result_routes: tuple[Route, ...] = ()

    @property
    def gateway_interface(self) -> str:
        """Who has the gateway's addresses: the bridge, or its interface in the VLAN."""
        name = self.settings.bridge
        return f"{name}.{self.settings.vlan}" if self.settings.vlan else name

    @property
    def versions(self) -> set[int]:
        return {one.version for one in self.addresses}


def make_plan(settings: Settings, request: Request, ipam: Result | None) -> Plan:
    """The plan for a container that address management gave `ipam` (None: no addresses)."""
    plan = Plan(settings, host_name(request), alias(request.network, *request.attachment), request.ifname)
    if ipam is None:
        return plan
    if not ipam.ips:
        raise CNIError(7, "IPAM plugin returned missing IP config", f"ipam type {settings.ipam!r}")
    ips = tuple(_with_gateway(one, settings) for one in ipam.ips)
    gateway: dict[int, IP] = {one.address.version: one.gateway for one in reversed(ips) if one.gateway is not None}
    told = list(ipam.routes)
    if settings.is_default_gateway:
        for version, address in sorted(gateway.items()):
            everywhere = _EVERYWHERE[version]
            default = next((route for route in told if route.dst == everywhere), None)
            if default is None:
                told.append(Route(everywhere, address))
            elif default.gw not in (None, address):
                raise invalid(f"isDefaultGateway ineffective because IPAM sets default route to {str(default.gw)!r}")
    return evolve(
        plan,
        addresses=tuple(one.address for one in ips),
        routes=tuple(_filled(route, gateway) for route in told),
        gateways=tuple(dict.fromkeys(_gateway(one) for one in ips if one.gateway)) if settings.is_gateway else (),
        masquerade=tuple((one.address.ip, _kept(one, settings)) for one in ips) if settings.masquerade else (),
        ips=tuple(evolve(one, interface=2) for one in ips),
        result_routes=tuple(told),
    )


def _with_gateway(one: Address, settings: Settings) -> Address:
    """A gateway is the subnet's first address unless address management says otherwise."""
    if one.gateway is not None or not settings.is_gateway:
        return one
    network = one.address.network
    return evolve(one, gateway=type(one.address.ip)(int(network.network_address) + 1))


def _filled(route: Route, gateway: dict[int, IP]) -> Route:
    """A route without a gateway goes through that of its version."""
    if route.gw is not None or route.scope is not None:
        return route
    return evolve(route, gw=gateway.get(route.dst.version))


def _gateway(one: Address) -> IPInterface:
    return ip_interface(f"{one.gateway}/{one.address.network.prefixlen}")


def _kept(one: Address, settings: Settings) -> tuple[IPNetwork, ...]:
    version = one.address.version
    networks = [one.address.network, _MULTICAST[version], *settings.masquerade_except]
    return tuple(collapse_addresses(network for network in networks if network.version == version))  # type: ignore[type-var]  # one version at a time
