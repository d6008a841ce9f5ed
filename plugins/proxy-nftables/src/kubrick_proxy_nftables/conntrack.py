"""Which tracked UDP connections lead nowhere any more. Pure.

A UDP client that goes on sending stays with the endpoint it first got, for its packets are one connection to
the kernel: when that endpoint is gone, or when there was none and now is one, the connection must be
forgotten so that the next packet is translated anew. TCP needs no such help.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from attrs import field, frozen

from kubrick_proxy_nftables.netlink import Flow
from kubrick_proxy_nftables.services import Endpoint, ServicePort
from kubrick_proxy_nftables.topology import Usable

Target = tuple[str, int]
K = TypeVar("K")
Answering = Mapping[K, frozenset[Target]]


@frozen
class Fronts:
    """Where UDP services are reached, and who may answer there: by address and port, and by node port."""

    addresses: Mapping[Target, frozenset[Target]] = field(factory=dict)
    node_ports: Mapping[int, frozenset[Target]] = field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.addresses or self.node_ports)


def fronts(ports: Iterable[tuple[ServicePort, Usable]]) -> Fronts:
    """The fronts of the UDP ports among `ports`."""
    addresses: dict[Target, frozenset[Target]] = {}
    node_ports: dict[int, frozenset[Target]] = {}
    for port, found in ports:
        if port.protocol != "udp":
            continue
        answering = frozenset(map(_target, (*found.cluster, *found.local)))
        for address in (port.cluster_ip, *port.external_ips, *port.vips):
            addresses[address, port.port] = answering
        if port.node_port:
            node_ports[port.node_port] = answering
    return Fronts(addresses, node_ports)


def changes(pairs: Iterable[tuple[Fronts, Fronts]]) -> Fronts:
    """What is different between the fronts before and after: each with who answers now (nobody where it is gone)."""
    addresses: dict[Target, frozenset[Target]] = {}
    node_ports: dict[int, frozenset[Target]] = {}
    for old, new in pairs:
        _differences(old.addresses, new.addresses, addresses)
        _differences(old.node_ports, new.node_ports, node_ports)
    return Fronts(addresses, node_ports)


def stale(flows: Iterable[Flow], changed: Fronts) -> Iterator[Flow]:
    """Those of `flows` that went to one of the `changed` fronts and are answered by nobody behind it now."""
    for flow in flows:
        answering = changed.addresses.get((flow.destination, flow.port))
        if answering is None:
            answering = changed.node_ports.get(flow.port)
            if answering is None or (flow.answering, flow.answering_port) == (flow.destination, flow.port):
                continue  # not translated: a program of this machine's own may use the same port
        if (flow.answering, flow.answering_port) not in answering:
            yield flow


def _differences(
    was: Mapping[K, frozenset[Target]], now: Mapping[K, frozenset[Target]], found: dict[K, frozenset[Target]]
) -> None:
    for front in was.keys() - now.keys():
        found.setdefault(front, frozenset())
    for front, answering in now.items():
        if was.get(front) != answering:
            found[front] = found.get(front, frozenset()) | answering


def _target(endpoint: Endpoint) -> Target:
    return endpoint.address, endpoint.port
