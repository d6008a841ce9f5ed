"""Which ServiceCIDRs an address or a range belongs to, and whether one of them may go.

A range may go when others hold all of it, or when no address of a Service would be left without a range. As for the
allocator, a network's own address and IPv4's broadcast belong to nobody (upstream: pkg/api/servicecidr and
pkg/controller/servicecidrs).
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from kubrick_api import addresses
from kubrick_api.resource import Object

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
READY, TERMINATING = "Ready", "Terminating"
READY_MESSAGE = "Kubernetes Service CIDR is ready"
IN_USE_MESSAGE = (
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=256)
def parse(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def networks(service_cidr: Object) -> list[Network]:
    texts = (service_cidr.get("spec") or {}).get("cidrs") or ()
    return [network for text in texts if (network := parse(text)) is not None]


def holds(network: Network, address: addresses.Address) -> bool:
    """Whether a service could have this address of the network."""
    if address.version != network.version or address == network.network_address:
        return False
    if address.version == 4 and address == network.broadcast_address:
        return False
    return address in network


def holding(service_cidrs: Iterable[Object], address: addresses.Address) -> list[str]:
    """The names of those that hold an address."""
    return [_name(each) for each in service_cidrs if any(holds(network, address) for network in networks(each))]


def overlapping(service_cidrs: Iterable[Object], changed: Object) -> set[str]:
    """The names of those that share addresses with one."""
    wanted = networks(changed)
    return {
        _name(each)
        for each in service_cidrs
        for network in networks(each)
        if any(network.version == other.version and network.overlaps(other) for other in wanted)
    }


def may_go(service_cidr: Object, service_cidrs: Sequence[Object], ip_addresses: Iterable[Object]) -> bool:
    """Whether no IPAddress is left without a range when this one is gone."""
    others = [each for each in service_cidrs if _name(each) != _name(service_cidr)]
    if all(_is_covered(network, others) for network in networks(service_cidr)):
        return True
    return not any(
        any(holds(network, address) for network in networks(service_cidr)) and not holding(others, address)
        for address in allocated(ip_addresses)
    )


def _is_covered(network: Network, others: Iterable[Object]) -> bool:
    return any(
        other.version == network.version and other.overlaps(network) and other.prefixlen <= network.prefixlen
        for each in others
        for other in networks(each)
    )


def allocated(ip_addresses: Iterable[Object]) -> Iterator[addresses.Address]:
    """The addresses that the API server gave to Services; others' are none of the controller's business."""
    for each in ip_addresses:
        labels = each["metadata"].get("labels") or {}
        address = addresses.parse(_name(each))
        if labels.get(MANAGED_BY) == ALLOCATOR and address is not None:
            yield address


def condition(service_cidr: Object) -> Object | None:
    """Its condition Ready."""
    found = (service_cidr.get("status") or {}).get("conditions") or ()
    return next((each for each in found if each.get("type") == READY), None)


def needed_condition(service_cidr: Object, ready: bool) -> Object | None:
    """The condition to set, without its time; None when it is set already."""
    wanted = {"type": READY, "status": "True", "reason": "", "message": READY_MESSAGE}
    if not ready:
        wanted |= {"status": "False", "reason": TERMINATING, "message": IN_USE_MESSAGE}
    found = condition(service_cidr) or {}
    if all((found.get(key) or "") == value for key, value in wanted.items()):
        return None
    return {key: value for key, value in wanted.items() if value}


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name
