"""Addresses and node ports for Services: none given out twice.

Cluster IPs come from the ranges of the cluster's ServiceCIDR objects. Each is owned by an IPAddress object of that
name, written in the service's own transaction: the store refuses a second one, whichever server asks. Node ports
are those that stored services have. What is remembered here is only what writes under way have been promised, so
that they don't collide in the first place; a write that ends, either way, takes its promises with it. So what is
taken is always what is stored, after a restart as before it.

Addresses and ports that nobody asked for by number come from the upper part of a range (KEP-3070), which leaves
the lower part to those who do ask. A range's first address belongs to default/kubernetes.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache
from random import Random  # noqa: TID251  (the type; the kernel hands out the generator)

from attrs import define, field, frozen

from kubrick_api import addresses
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api.storage import Reader
from kubrick_api_core.names import SERVICES

IP_ADDRESSES = GVR("networking.k8s.io", "v1", "ipaddresses")
SERVICE_CIDRS = GVR("networking.k8s.io", "v1", "servicecidrs")
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
FAMILY = "ipaddress.kubernetes.io/ip-family"
TRIES = 16
FULL = "range is full"
TAKEN = "provided IP is already allocated"
MISMATCHED = "the provided network does not match the current range"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AllocationError(Exception):
    """An address or port can't be had; the text says why, in Kubernetes' words."""


def ip_address_object(address: str, namespace: str, name: str) -> Object:
    """The IPAddress that says which service owns an address."""
    return {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": address, "labels": {FAMILY: addresses.family(address), MANAGED_BY: ALLOCATOR}},
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
    }


def owned_by(found: Object | None, namespace: str, name: str) -> bool:
    """Whether an IPAddress belongs to this service."""
    parent = ((found or {}).get("spec") or {}).get("parentRef") or {}
    wanted = ("", "services", namespace, name)
    return tuple(parent.get(key) or "" for key in ("group", "resource", "namespace", "name")) == wanted


def split_offset(size: int, step: int, most: int) -> int:
    """How much of a range is left to those who ask by number."""
    return 0 if size <= 16 else min(max(16, size // step), most)


@frozen
class Range:
    """The addresses of one network that services can have: not the network's own, nor IPv4's broadcast."""

    network: Network

    @property
    def family(self) -> str:
        return f"IPv{self.network.version}"

    @property
    def first(self) -> int:
        return int(self.network.network_address) + 1

    @property
    def last(self) -> int:
        return int(self.network.broadcast_address) - (1 if self.network.version == 4 else 0)

    def holds(self, address: str) -> bool:
        parsed = addresses.parse(address)
        return parsed is not None and parsed.version == self.network.version and self.first <= int(parsed) <= self.last

    def address(self, number: int) -> str:
        made = ipaddress.IPv4Address if self.network.version == 4 else ipaddress.IPv6Address
        return str(made(number))

    def parts(self) -> Iterator[tuple[int, int]]:
        """The upper part, then the lower, each from first to last address; the range's first is nobody's."""
        middle = self.first + split_offset(self.last - self.first + 1, 16, 256)
        for low, high in ((middle, self.last), (self.first, middle - 1)):
            if max(low, self.first + 1) <= high:
                yield max(low, self.first + 1), high


@lru_cache(maxsize=256)
def parse_range(text: str) -> Range | None:
    """From "10.96.0.0/16"; None for what is no network."""
    try:
        return Range(ipaddress.ip_network(text))
    except ValueError:
        return None


def is_ready(service_cidr: Object) -> bool:
    """Whether a ServiceCIDR gives out addresses: until it is being deleted or said not to be ready."""
    if service_cidr["metadata"].get("deletionTimestamp"):
        return False
    conditions = (service_cidr.get("status") or {}).get("conditions") or ()
    ready = next((each for each in conditions if each.get("type") == "Ready"), None)
    return ready is None or ready.get("status") == "True"


@define(eq=False)
class ClusterIPs:
    """The addresses of all families. `configured` are the ranges the server was started with: they say which
    families there are, the default first, and serve until there is a ServiceCIDR object."""

    configured: Sequence[Range]
    random: Random
    _promised: set[str] = field(factory=set)

    @classmethod
    def parse(cls, text: str, random: Random) -> "ClusterIPs":
        """From "10.96.0.0/16" or "10.96.0.0/16,fd00:10:96::/112". Raises ValueError."""
        ranges = [Range(ipaddress.ip_network(part.strip())) for part in text.split(",")]
        families = [each.family for each in ranges]
        if len(ranges) > 2 or len(set(families)) != len(families):
            raise ValueError("at most one range of each IP family")
        return cls(ranges, random)

    @property
    def families(self) -> list[str]:
        return [each.family for each in self.configured]

    def ranges(self, reader: Reader, family: str) -> list[Range]:
        """What addresses of a family are given out from."""
        objects = reader.list(SERVICE_CIDRS)
        if not objects:
            return [each for each in self.configured if each.family == family]
        texts = [text for each in objects if is_ready(each) for text in (each.get("spec") or {}).get("cidrs") or ()]
        found = [parse_range(text) for text in dict.fromkeys(texts)]
        return [each for each in found if each is not None and each.family == family]

    def _take(self, address: str, reader: Reader) -> bool:
        if address in self._promised or reader.get(IP_ADDRESSES, "", address) is not None:
            return False
        self._promised.add(address)
        return True

    def reserve(self, address: str, reader: Reader) -> None:
        """Promise this very address. Raises AllocationError."""
        if not any(each.holds(address) for each in self.ranges(reader, addresses.family(address))):
            raise AllocationError(MISMATCHED)
        if not self._take(address, reader):
            raise AllocationError(TAKEN)

    def next(self, family: str, reader: Reader) -> str:
        """Promise any free address. Raises AllocationError."""
        for each in self.ranges(reader, family):
            for low, high in each.parts():
                for number in self._candidates(low, high):
                    if self._take(address := each.address(number), reader):
                        return address
        raise AllocationError(FULL)

    def _candidates(self, low: int, high: int) -> Iterator[int]:
        """Some at random, then all: from one at random on, around."""
        for _ in range(min(TRIES, high - low + 1)):
            yield self.random.randint(low, high)
        start = self.random.randint(low, high)
        yield from range(start, high + 1)
        yield from range(low, start)

    def forget(self, address: str) -> None:
        """The write that was promised it has ended."""
        self._promised.discard(address)


@define(eq=False)
class NodePorts:
    """The range of ports that NodePort and LoadBalancer services get on every node. Like Kubernetes', it counts
    numbers: one number may serve several protocols of one service, and belongs to that service."""

    first: int
    last: int
    random: Random
    _promised: set[int] = field(factory=set)

    @classmethod
    def parse(cls, text: str, random: Random) -> "NodePorts":
        """From "30000-32767". Raises ValueError."""
        first, _, last = text.partition("-")
        return cls(int(first), int(last), random)

    def _used(self, reader: Reader, own: str) -> set[int]:
        """Numbers of stored services, but for the one with uid `own`, and of writes under way."""
        used = set(self._promised)
        for service in reader.list(SERVICES):
            spec = service.get("spec") or {}
            if spec.get("type") in ("NodePort", "LoadBalancer") and service["metadata"].get("uid") != own:
                used |= node_ports(spec)
        return used

    def reserve(self, port: int, reader: Reader, own: str = "") -> None:
        """Promise this very port. Raises AllocationError."""
        if not self.first <= port <= self.last:
            raise AllocationError(
                f"provided port is not in the valid range. The range of valid ports is {self.first}-{self.last}"
            )
        if port in self._used(reader, own):
            raise AllocationError("provided port is already allocated")
        self._promised.add(port)

    def next(self, reader: Reader, taken: set[int] | None = None) -> int:
        """Promise any free port, none of `taken`. Raises AllocationError."""
        used = self._used(reader, "") | (taken or set())
        middle = self.first + split_offset(self.last - self.first + 1, 32, 128)
        for low, high in ((middle, self.last), (self.first, middle - 1)):
            free = [port for port in range(low, high + 1) if port not in used] if low <= high else []
            if free:
                port = self.random.choice(free)
                self._promised.add(port)
                return port
        raise AllocationError(FULL)

    def forget(self, port: int) -> None:
        """The write that was promised it has ended."""
        self._promised.discard(port)


def node_ports(spec: Object) -> set[int]:
    """All ports of the nodes that a service has."""
    found = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    if spec.get("healthCheckNodePort"):
        found.add(spec["healthCheckNodePort"])
    return found
