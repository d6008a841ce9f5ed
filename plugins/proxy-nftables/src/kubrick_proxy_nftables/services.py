"""Services and EndpointSlices as the proxy reads them. Pure.

A service is cut into its ports, per address family; what the proxy leaves alone (headless, ExternalName,
another proxy's by label) has none. Endpoints are those of all slices of the service, once per address and port.
"""

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from kubrick_proxy_nftables.families import Family

Object = dict[str, Any]

PROXY_NAME = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"
SERVICE_NAME = "kubernetes.io/service-name"
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
SELECTOR = f"!{PROXY_NAME},!{HEADLESS}"
"""Which services and slices are this proxy's."""
AFFINITY_SECONDS = 10800
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


@frozen
class ServicePort:
    """One port of one service in one address family. `affinity` is in seconds, 0 for none; `vips` are the
    load balancer's addresses; `health_check_node_port` is 0 where there is none."""

    namespace: str
    service: str
    name: str
    protocol: str
    port: int
    cluster_ip: str
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    vips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_node_port: int = 0

    @property
    def is_external(self) -> bool:
        """Whether it is reached by anything but its cluster IP."""
        return bool(self.node_port or self.external_ips or self.vips)

    @property
    def uses_cluster(self) -> bool:
        """Whether endpoints anywhere matter: Local external traffic needs them for the node's own pods."""
        return not self.internal_local or self.is_external

    @property
    def uses_local(self) -> bool:
        return self.internal_local or (self.external_local and self.is_external)

    @property
    def path(self) -> str:
        """What its chains are named after."""
        return f"{self.namespace}/{self.service}/{self.protocol}/{self.name}"

    @property
    def title(self) -> str:
        """What comments call it."""
        return f"{self.namespace}/{self.service}:{self.name}" if self.name else f"{self.namespace}/{self.service}"


@frozen
class Endpoint:
    """One address and port behind a service port. No hints mean: for everybody."""

    address: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    local: bool = False
    zones: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    @property
    def drains(self) -> bool:
        """Still answers while its pod is being deleted."""
        return self.serving and self.terminating


def key_of(service: Object) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def service_of(endpoint_slice: Object) -> list[str]:
    """The key of the service that a slice belongs to."""
    metadata = endpoint_slice["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME)
    return [f"{metadata['namespace']}/{name}"] if name else []


def is_proxied(service: Object) -> bool:
    spec = service["spec"]
    labels = service["metadata"].get("labels") or {}
    return (
        spec.get("type") != "ExternalName"
        and spec.get("clusterIP", "") not in ("", "None")
        and PROXY_NAME not in labels
        and HEADLESS not in labels
    )


def service_ports(service: Object, family: Family) -> list[ServicePort]:
    """The ports of `service` in `family`; none if it isn't this proxy's or has no address in it."""
    if not is_proxied(service):
        return []
    spec = service["spec"]
    cluster_ips = family.addresses(spec.get("clusterIPs") or [spec["clusterIP"]])
    if not cluster_ips:
        return []
    metadata = service["metadata"]
    affinity = 0
    if spec.get("sessionAffinity") == "ClientIP":
        client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity = client_ip.get("timeoutSeconds") or AFFINITY_SECONDS
    is_balanced = spec.get("type") == "LoadBalancer"
    external_local = spec.get("externalTrafficPolicy") == "Local"
    return [
        ServicePort(
            namespace=metadata["namespace"],
            service=metadata["name"],
            name=port.get("name", ""),
            protocol=PROTOCOLS[port.get("protocol", "TCP")],
            port=port["port"],
            cluster_ip=cluster_ips[0],
            node_port=port.get("nodePort", 0) if spec.get("type") in ("NodePort", "LoadBalancer") else 0,
            external_ips=family.addresses(spec.get("externalIPs") or ()),
            vips=family.addresses(_vips(service)) if is_balanced else (),
            source_ranges=_source_ranges(service, family) if is_balanced else (),
            affinity=affinity,
            internal_local=spec.get("internalTrafficPolicy") == "Local",
            external_local=external_local,
            health_check_node_port=spec.get("healthCheckNodePort", 0) if is_balanced and external_local else 0,
        )
        for port in spec.get("ports") or ()
    ]


def _vips(service: Object) -> Iterable[str]:
    """The addresses that traffic keeps on its way from the load balancer to the node."""
    ingresses = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [found["ip"] for found in ingresses if found.get("ip") and found.get("ipMode", "VIP") == "VIP"]


def _source_ranges(service: Object, family: Family) -> tuple[str, ...]:
    ranges = service["spec"].get("loadBalancerSourceRanges")
    if not ranges:
        ranges = (service["metadata"].get("annotations") or {}).get(SOURCE_RANGES, "").split(",")
    return family.networks(ranges)


def endpoints_of(slices: Iterable[Object], port: ServicePort, family: Family, node: str) -> list[Endpoint]:
    """The endpoints behind `port`, by address and port. Where slices disagree, the readier word counts."""
    found: dict[tuple[str, int], Endpoint] = {}
    for piece in slices:
        if piece.get("addressType") != family.label:
            continue
        for slice_port in piece.get("ports") or ():
            number = slice_port.get("port")
            same = PROTOCOLS.get(slice_port.get("protocol") or "TCP") == port.protocol
            if number is None or not same or (slice_port.get("name") or "") != port.name:
                continue
            for raw in piece.get("endpoints") or ():
                endpoint = _endpoint(raw, number, family, node)
                if endpoint is None:
                    continue
                key = (endpoint.address, number)
                known = found.get(key)
                if known is None or _readiness(known) < _readiness(endpoint):
                    found[key] = endpoint
    return [found[key] for key in sorted(found)]


def _readiness(endpoint: Endpoint) -> tuple[bool, bool, bool]:
    return endpoint.ready, endpoint.serving, endpoint.local


def _endpoint(raw: Object, port: int, family: Family, node: str) -> Endpoint | None:
    addresses = raw.get("addresses")
    address = family.address(addresses[0]) if addresses else ""
    if not address:
        return None
    conditions = raw.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    hints = raw.get("hints")
    return Endpoint(
        address,
        port,
        ready,
        ready if serving is None else serving,
        conditions.get("terminating") is True,
        bool(node) and raw.get("nodeName") == node,
        frozenset(zone["name"] for zone in hints.get("forZones") or ()) if hints else frozenset(),
        frozenset(other["name"] for other in hints.get("forNodes") or ()) if hints else frozenset(),
    )
