"""Addresses and node ports for Services: none given out twice.

A cluster IP is owned by an IPAddress object of that name, written in the service's own transaction: the
store refuses a second one, whichever server asks. Within this process, an address counts as taken from
the moment it is handed out until the service lets go of it or its write fails, so that writes under way
at the same time don't collide in the first place. Addresses nobody asked for by number come from the
upper part of the range, as in KEP-3070, which leaves the lower part to those who do ask. The first
address belongs to default/kubernetes.
"""

import ipaddress
from random import Random  # noqa: TID251  (the type; the kernel hands out the generator)

from attrs import define, field

from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api.storage import Reader
from kubrick_api_core.names import SERVICES

IP_ADDRESSES = GVR("networking.k8s.io", "v1", "ipaddresses")
TRIES = 16
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AllocationError(Exception):
    """An address or port can't be had; the text says why, in Kubernetes' words."""


def ip_address_object(address: str, namespace: str, name: str) -> Object:
    """The IPAddress that says which service owns an address."""
    family = f"IPv{ipaddress.ip_address(address).version}"
    return {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": address,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}},
    }


@define(eq=False)
class ClusterIPs:
    """The service address range of one IP family."""

    network: Network
    random: Random
    _reserved: set[str] = field(factory=set)

    @property
    def family(self) -> str:
        return f"IPv{self.network.version}"

    def holds(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in self.network
        except ValueError:
            return False

    def _free(self, address: str, reader: Reader) -> bool:
        return address not in self._reserved and reader.get(IP_ADDRESSES, "", address) is None

    def reserve(self, address: str, reader: Reader) -> None:
        """Take this very address."""
        if not self._usable(address):
            raise AllocationError(
                f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self.network}"
            )
        if not self._free(address, reader):
            raise AllocationError("provided IP is already allocated")
        self._reserved.add(address)

    def _usable(self, address: str) -> bool:
        if not self.holds(address):
            return False
        index = int(ipaddress.ip_address(address)) - int(self.network.network_address)
        return 0 < index <= self._last

    @property
    def _last(self) -> int:
        """The index of the last address to give out; IPv4's broadcast address isn't one."""
        return self.network.num_addresses - (2 if self.network.version == 4 else 1)

    def next(self, reader: Reader) -> str:
        """Take any free address."""
        first = int(self.network.network_address)
        size = self.network.num_addresses
        offset = min(max(16, size // 16), 256) if size >= 32 else 1
        for low, high in ((min(offset, self._last) + 1, self._last), (2, min(offset, self._last))):
            if low > high:
                continue
            for _ in range(TRIES):
                address = str(ipaddress.ip_address(first + self.random.randint(low, high)))
                if self._take(address, reader):
                    return address
            for index in range(low, high + 1):
                address = str(ipaddress.ip_address(first + index))
                if self._take(address, reader):
                    return address
        raise AllocationError("range is full")

    def _take(self, address: str, reader: Reader) -> bool:
        free = self._free(address, reader)
        if free:
            self._reserved.add(address)
        return free

    def release(self, address: str) -> None:
        self._reserved.discard(address)


@define(eq=False)
class NodePorts:
    """The range of ports that NodePort and LoadBalancer services get on every node."""

    first: int
    last: int
    random: Random
    _reserved: set[tuple[str, int]] = field(factory=set)

    @classmethod
    def parse(cls, text: str, random: Random) -> "NodePorts":
        """From "30000-32767"."""
        first, _, last = text.partition("-")
        return cls(int(first), int(last), random)

    def _used(self, reader: Reader, own: str) -> set[tuple[str, int]]:
        used = set(self._reserved)
        for service in reader.list(SERVICES):
            if service["metadata"].get("uid") == own:
                continue
            spec = service["spec"]
            used.update(
                (port.get("protocol", "TCP"), port["nodePort"])
                for port in spec.get("ports") or ()
                if port.get("nodePort")
            )
            if spec.get("healthCheckNodePort"):
                used.add(("TCP", spec["healthCheckNodePort"]))
        return used

    def reserve(self, protocol: str, port: int, reader: Reader, own: str = "") -> None:
        if not self.first <= port <= self.last:
            raise AllocationError(
                f"provided port is not in the valid range. The range of valid ports is {self.first}-{self.last}"
            )
        if (protocol, port) in self._used(reader, own):
            raise AllocationError("provided port is already allocated")
        self._reserved.add((protocol, port))

    def next(self, protocol: str, reader: Reader) -> int:
        taken = {port for _, port in self._used(reader, "")}
        for _ in range(TRIES):
            port = self.random.randint(self.first, self.last)
            if port not in taken:
                break
        else:
            found = next((port for port in range(self.first, self.last + 1) if port not in taken), None)
            if found is None:
                raise AllocationError("range is full")
            port = found
        self._reserved.add((protocol, port))
        return port

    def release(self, protocol: str, port: int) -> None:
        self._reserved.discard((protocol, port))
