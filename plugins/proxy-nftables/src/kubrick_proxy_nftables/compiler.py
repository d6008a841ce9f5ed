"""From one service's objects to everything that follows from them. Pure.

One `Compiled` per service: its part of each family's table, its UDP fronts, and what its health check says.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from kubrick_proxy_nftables.conntrack import Fronts, fronts
from kubrick_proxy_nftables.families import Family
from kubrick_proxy_nftables.rules import Policy, service_part
from kubrick_proxy_nftables.ruleset import Part
from kubrick_proxy_nftables.services import Endpoint, ServicePort, endpoints_of, service_ports
from kubrick_proxy_nftables.topology import ZONE, Node, Usable, usable

Object = dict[str, Any]


@frozen
class Compiled:
    """`health_checks` is health check node port → how many of the node's own endpoints answer."""

    parts: Mapping[Family, Part]
    fronts: Mapping[Family, Fronts] = field(factory=dict)
    health_checks: Mapping[int, int] = field(factory=dict)


def compile_service(
    service: Object, slices: Iterable[Object], node: Node, policies: Mapping[Family, Policy]
) -> Compiled:
    pieces = sorted(slices, key=lambda piece: str(piece["metadata"]["name"]))
    parts: dict[Family, Part] = {}
    udp: dict[Family, Fronts] = {}
    checks: dict[int, set[str]] = {}
    for family, policy in policies.items():
        found: list[tuple[ServicePort, Usable]] = []
        for port in service_ports(service, family):
            endpoints: Sequence[Endpoint] = endpoints_of(pieces, port, family, node.name)
            found.append((port, usable(port, endpoints, node)))
            if port.health_check_node_port:
                own = {endpoint.address for endpoint in endpoints if endpoint.local and endpoint.ready}
                checks.setdefault(port.health_check_node_port, set()).update(own)
        if found:
            parts[family] = service_part(family, found, node, policy)
            udp[family] = fronts(found)
    return Compiled(parts, udp, {port: len(addresses) for port, addresses in checks.items()})


def node_of(name: str, obj: Object | None) -> Node:
    """What matters of a Node object; of the name alone while there is none."""
    if obj is None:
        return Node(name)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    own = [found["address"] for found in status.get("addresses") or () if found["type"] in ("InternalIP", "ExternalIP")]
    cidrs = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return Node(name, (obj["metadata"].get("labels") or {}).get(ZONE, ""), tuple(own), tuple(cidrs))
