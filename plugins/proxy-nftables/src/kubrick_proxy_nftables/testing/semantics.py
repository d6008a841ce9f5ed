"""Where Kubernetes wants a packet to go, in plain Python, straight from the objects: what traces are compared to.

Slow, short and written apart from the compiler on purpose. Two services must not claim one address and port.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from attrs import field, frozen

from kubrick_proxy_nftables.testing.trace import ACCEPT, DROP, REJECT, Outcome, Packet

Object = dict[str, Any]
PROXY_LABELS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")


@frozen
class Network:
    """A node and the cluster's objects, as the API has them. `slices` is by service, "namespace/name"."""

    services: Sequence[Object]
    slices: Mapping[str, Sequence[Object]]
    node: str = "node-1"
    zone: str = ""
    addresses: Collection[str] = ()
    """The node's own, all of them."""
    node_port_addresses: Collection[str] = ()
    pod_ranges: Sequence[str] = ()
    service_ranges: Sequence[str] = field(default=("10.96.0.0/16",))
    masquerade_all: bool = False

    def expected(self, packet: Packet) -> frozenset[Outcome]:
        """Everything that may become of `packet`."""
        for internal in (True, False):
            for service in self.services:
                if not ours(service) or not any(
                    (":" in ip) == (packet.family == "ip6") for ip in cluster_ips_of(service)
                ):
                    continue  # a service is only in the families it has cluster IPs of
                for port in service["spec"]["ports"]:
                    if port.get("protocol", "TCP").lower() != packet.protocol:
                        continue
                    found = self._for_port(packet, service, port, internal)
                    if found is not None:
                        return frozenset(found)
        goes_through = packet.local or packet.destination not in self.addresses
        cluster_ips = {address for service in self.services if ours(service) for address in cluster_ips_of(service)}
        if goes_through and (packet.destination in cluster_ips or inside(packet.destination, self.service_ranges)):
            return frozenset({Outcome(REJECT)})
        return frozenset({Outcome(ACCEPT, packet.destination, packet.port)})

    def _for_port(self, packet: Packet, service: Object, port: Object, internal: bool) -> set[Outcome] | None:
        spec = service["spec"]
        at_port = packet.port == port["port"]
        vips = vips_of(service)
        if internal:
            if packet.destination in cluster_ips_of(service) and at_port:
                return self._internal(packet, service, port)
            if at_port and packet.destination in (*(spec.get("externalIPs") or ()), *vips):
                return self._external(packet, service, port)
        elif packet.destination in self.node_port_addresses and packet.port == port.get("nodePort"):
            return self._external(packet, service, port)
        return None

    def _internal(self, packet: Packet, service: Object, port: Object) -> set[Outcome]:
        endpoints = list(self._endpoints(service, port, packet))
        only_local = service["spec"].get("internalTrafficPolicy") == "Local"
        chosen = self._local(endpoints) if only_local else self._cluster(endpoints)
        if not chosen:
            return {Outcome(DROP if self._alive(endpoints) else REJECT)}
        from_elsewhere = bool(self.pod_ranges) and not inside(packet.source, self.pod_ranges)
        return self._to(packet, chosen, masqueraded=from_elsewhere or self.masquerade_all)

    def _external(self, packet: Packet, service: Object, port: Object) -> set[Outcome]:
        spec = service["spec"]
        vips = vips_of(service)
        ranges = spec.get("loadBalancerSourceRanges") or ()
        if packet.destination in vips and packet.port == port["port"] and ranges:
            allowed = list(ranges)
            if any(inside(own, ranges) for own in self.node_port_addresses):
                allowed += vips
            if not inside(packet.source, allowed):
                return {Outcome(DROP)}
        endpoints = list(self._endpoints(service, port, packet))
        everywhere = self._cluster(endpoints)
        if not everywhere:
            return {Outcome(REJECT)}
        if spec.get("externalTrafficPolicy") != "Local":
            return self._to(packet, everywhere, masqueraded=True)
        if inside(packet.source, self.pod_ranges):
            return self._to(packet, everywhere, masqueraded=False)
        if packet.source in self.addresses:
            return self._to(packet, everywhere, masqueraded=True)
        own = self._local(endpoints)
        return self._to(packet, own, masqueraded=False) if own else {Outcome(DROP)}

    def _to(self, packet: Packet, endpoints: Sequence[Object], *, masqueraded: bool) -> set[Outcome]:
        outcomes = set()
        for endpoint in endpoints:
            address = endpoint["address"]
            passes = packet.local or address not in self.addresses
            itself = endpoint["local"] and address == packet.source
            outcomes.add(Outcome(ACCEPT, address, endpoint["port"], passes and (masqueraded or itself)))
        return outcomes

    def _endpoints(self, service: Object, port: Object, packet: Packet) -> Iterator[Object]:
        key = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        for piece in self.slices.get(key, ()):
            if piece["addressType"] != ("IPv6" if packet.family == "ip6" else "IPv4"):
                continue
            for own in piece["ports"]:
                same = own.get("protocol", "TCP") == port.get("protocol", "TCP")
                if not same or own.get("name", "") != port.get("name", ""):
                    continue
                for endpoint in piece["endpoints"]:
                    conditions, hints = endpoint.get("conditions") or {}, endpoint.get("hints") or {}
                    ready = conditions.get("ready", True)
                    yield {
                        "address": endpoint["addresses"][0],
                        "port": own["port"],
                        "ready": ready,
                        "drains": conditions.get("serving", ready) and conditions.get("terminating", False),
                        "local": endpoint.get("nodeName") == self.node,
                        "zones": [zone["name"] for zone in hints.get("forZones") or ()],
                        "nodes": [node["name"] for node in hints.get("forNodes") or ()],
                    }

    def _cluster(self, endpoints: Sequence[Object]) -> Sequence[Object]:
        ready = [endpoint for endpoint in endpoints if endpoint["ready"]]
        for hints, here in (("nodes", self.node), ("zones", self.zone)):
            near = [endpoint for endpoint in ready if here in endpoint[hints]]
            if near and all(endpoint[hints] for endpoint in ready):
                return near
        return ready or [endpoint for endpoint in endpoints if endpoint["drains"]]

    def _local(self, endpoints: Sequence[Object]) -> Sequence[Object]:
        own = [endpoint for endpoint in endpoints if endpoint["local"]]
        return [endpoint for endpoint in own if endpoint["ready"]] or [e for e in own if e["drains"]]

    def _alive(self, endpoints: Sequence[Object]) -> bool:
        return any(endpoint["ready"] or endpoint["drains"] for endpoint in endpoints)


def ours(service: Object) -> bool:
    spec, labels = service["spec"], service["metadata"].get("labels") or {}
    is_addressed = spec.get("clusterIP") not in (None, "", "None") and spec.get("type") != "ExternalName"
    return is_addressed and not any(label in labels for label in PROXY_LABELS)


def is_in(service: Object, family: str) -> bool:
    """A service is only in the families it has cluster IPs of."""
    return any((":" in address) == (family == "ip6") for address in cluster_ips_of(service))


def cluster_ips_of(service: Object) -> Sequence[str]:
    found: Sequence[str] = service["spec"].get("clusterIPs") or [service["spec"]["clusterIP"]]
    return found


def vips_of(service: Object) -> list[str]:
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return [found["ip"] for found in ingress if found.get("ipMode", "VIP") == "VIP" and "ip" in found]


def inside(address: str, ranges: Collection[str]) -> bool:
    return any(ip_address(address) in ip_network(network) for network in ranges)
