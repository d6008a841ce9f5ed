"""Which addresses there are, and which comes next. Pure.

A range set is a list of ranges of one IP version; a container gets one address of each set. Ranges are
filled in and checked, and walked, as containernetworking's host-local does: on from the address that was
given last, over the end to the beginning, past the gateways.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from attrs import frozen

from kubrick_network import invalid
from kubrick_network.result import IP, IPInterface, IPNetwork


@frozen
class Range:
    """Addresses from `start` to `end`, both included, but for the gateway."""

    subnet: IPNetwork
    start: IP
    end: IP
    gateway: IP

    def __contains__(self, address: object) -> bool:
        return (
            isinstance(address, type(self.start))
            and address.version == self.start.version
            and int(self.start) <= int(address) <= int(self.end)
        )

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"

    def interface(self, address: IP) -> IPInterface:
        """`address` with the subnet's prefix."""
        return ip_interface(f"{address}/{self.subnet.prefixlen}")


@frozen
class RangeSet:
    ranges: tuple[Range, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.ranges))

    def __contains__(self, address: object) -> bool:
        return self.of(address) is not None

    def of(self, address: object) -> Range | None:
        """The range `address` is in."""
        return next((one for one in self.ranges if address in one), None)

    def is_gateway(self, address: IP) -> bool:
        return any(one.gateway == address for one in self.ranges)

    def after(self, last: IP | None) -> Iterator[tuple[Range, IP]]:
        """Every address once, from the one after `last`, without gateways."""
        at = next((index for index, one in enumerate(self.ranges) if last in one), None)
        if at is None or last is None:
            order = [(one, int(one.start), int(one.end)) for one in self.ranges]
        else:
            current = self.ranges[at]
            order = [(current, int(last) + 1, int(current.end))]
            order += [(one, int(one.start), int(one.end)) for one in (*self.ranges[at + 1 :], *self.ranges[:at])]
            order += [(current, int(current.start), int(last))]
        for one, start, end in order:
            make = type(one.start)
            for number in range(start, end + 1):
                if number != int(one.gateway):
                    yield one, make(number)

    def choose(self, taken: Container[str], last: IP | None) -> tuple[Range, IP] | None:
        """The next free address; None when there is none."""
        return next((found for found in self.after(last) if str(found[1]) not in taken), None)


def parse_range_sets(ipam: Mapping[str, Any], runtime: Mapping[str, Any]) -> tuple[RangeSet, ...]:
    """The range sets of a configuration: one given flat, then those under ``ranges``, or those of the
    runtime's ``ipRanges``. Raises CNIError."""
    listed: list[Any] = []
    if ipam.get("subnet"):
        listed.append([{key: ipam[key] for key in ("subnet", "rangeStart", "rangeEnd", "gateway") if key in ipam}])
    given = runtime.get("ipRanges") or ipam.get("ranges") or []
    if not isinstance(given, list):
        raise invalid("ipam.ranges must be a list of range sets")
    listed += given
    if not listed:
        raise invalid("no IP ranges specified")
    sets = tuple(_range_set(one, index) for index, one in enumerate(listed))
    for index, one in enumerate(sets):
        for other in range(index):
            if overlap := _overlap(sets[other].ranges, one.ranges):
                raise invalid(f"range set {index} overlaps with {other}", overlap)
    return sets


def _range_set(listed: Any, index: int) -> RangeSet:
    if not isinstance(listed, list) or not listed:
        raise invalid(f"invalid range set {index}", "it must be a list of ranges, not empty")
    ranges = tuple(_range(one, f"range set {index}") for one in listed)
    if len({one.subnet.version for one in ranges}) > 1:
        raise invalid(f"invalid range set {index}", "mismatched address families")
    for place, one in enumerate(ranges):
        if overlap := _overlap(ranges[:place], (one,)):
            raise invalid(f"invalid range set {index}", f"subnets overlap: {overlap}")
    return RangeSet(ranges)


def _overlap(some: Sequence[Range], others: Sequence[Range]) -> str:
    for one in some:
        for other in others:
            apart = int(one.start) > int(other.end) or int(other.start) > int(one.end)
            if one.start.version == other.start.version and not apart:
                return f"{one} and {other}"
    return ""


def _range(one: Any, where: str) -> Range:
    if not isinstance(one, dict) or not one.get("subnet"):
        raise invalid(f"invalid {where}", "a range needs its subnet")
    try:
        subnet = ip_network(one["subnet"])
    except ValueError as error:
        raise invalid(f"invalid {where}", f"network has host bits set or is no network: {error}") from error
    if subnet.num_addresses <= 2 and subnet.prefixlen > subnet.max_prefixlen - 2:
        raise invalid(f"invalid {where}", f"network {subnet} too small to allocate from")
    make = type(subnet.network_address)
    first = make(int(subnet.network_address) + 1)
    # IPv4 has a broadcast address at the end; IPv6 has none.
    last = make(int(subnet.broadcast_address) - (1 if subnet.version == 4 else 0))

    def inside(key: str, default: IP) -> IP:
        if not one.get(key):
            return default
        try:
            found = ip_address(one[key])
        except ValueError as error:
            raise invalid(f"invalid {where}", f"{key}: {error}") from error
        if key != "gateway" and found not in subnet:
            raise invalid(f"invalid {where}", f"{key} {found} not in network {subnet}")
        return found

    start, end, gateway = inside("rangeStart", first), inside("rangeEnd", last), inside("gateway", first)
    if int(start) > int(end):
        raise invalid(f"invalid {where}", f"rangeStart {start} is after rangeEnd {end}")
    return Range(subnet, start, end, gateway)
