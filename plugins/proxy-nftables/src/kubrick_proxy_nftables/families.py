"""The two address families, each with a table of its own, and addresses in their one canonical spelling.

Everything that ends up in a command comes through here or is a number: text from an object that isn't an
address of the right family never reaches nft.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from socket import AF_INET, AF_INET6, AddressFamily, inet_ntop, inet_pton
from typing import Any

from attrs import frozen


@frozen
class Family:
    """How one address family is spelled: in objects ("IPv4") and in nft ("ip", "ipv4_addr")."""

    label: str
    nft: str
    address_type: str
    loopback: str
    everything: str
    socket: AddressFamily

    def address(self, text: str) -> str:
        """`text` in canonical form, or "" if it is no address of this family."""
        try:
            return inet_ntop(self.socket, inet_pton(self.socket, text))
        except (OSError, ValueError):
            return ""

    def addresses(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Those of `texts` that are addresses of this family, without repetition, in order."""
        return tuple(dict.fromkeys(found for text in texts if (found := self.address(text))))

    def networks(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Those of `texts` that are ranges of this family; none of them inside another, sorted (nft takes
        no overlapping intervals)."""
        found = []
        for text in texts:
            try:
                found.append(self._network(text.strip()))
            except ValueError:
                continue
        return tuple(str(network) for network in collapse_addresses(found))

    def _network(self, text: str) -> IPv4Network:
        # collapse_addresses takes either kind, but its types want one; a family has one only.
        kind: Any = IPv4Network if self.socket == AF_INET else IPv6Network
        network: IPv4Network = kind(text, strict=False)
        return network

    def joined(self, address: str, port: int) -> str:
        """As ``dnat to`` reads it."""
        return f"{address}:{port}" if self is IPV4 else f"[{address}]:{port}"


IPV4 = Family("IPv4", "ip", "ipv4_addr", "127.0.0.0/8", "0.0.0.0/0", AF_INET)
IPV6 = Family("IPv6", "ip6", "ipv6_addr", "::1", "::/0", AF_INET6)
FAMILIES = (IPV4, IPV6)
