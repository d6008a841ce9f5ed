"""Tells neighbours who has an address now: gratuitous ARP (RFC 5227) and an unsolicited neighbour
advertisement (RFC 4861 §7.2.6). An address is often given again, and caches would send to the old owner.
"""

import socket
import struct
from collections.abc import Iterable

from kubrick_network.result import IP

_ETHERNET_ARP = 0x0806
_BROADCAST = b"\xff" * 6
_ALL_NODES = "ff02::1"
_OVERRIDE = 0x20000000


def arp(mac: bytes, address: bytes) -> bytes:
    """An Ethernet frame: a request for one's own address."""
    header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return _BROADCAST + mac + struct.pack("!H", _ETHERNET_ARP) + header + mac + address + bytes(6) + address


def advertisement(mac: bytes, address: bytes) -> bytes:
    """An ICMPv6 message; the kernel fills in its checksum."""
    return struct.pack("!BBHI", 136, 0, 0, _OVERRIDE) + address + b"\x02\x01" + mac


def announce(ifname: str, mac: str, addresses: Iterable[IP]) -> None:
    """Say it on the interface, in the calling thread's namespace."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    for address in addresses:
        if address.version == 4:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERNET_ARP)) as out:
                out.bind((ifname, _ETHERNET_ARP))
                out.send(arp(hardware, address.packed))
        else:
            index = socket.if_nametoindex(ifname)
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as out:
                out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
                out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                try:
                    out.bind((str(address), 0, 0, index))
                    out.sendto(advertisement(hardware, address.packed), (_ALL_NODES, 0, 0, index))
                except OSError:
                    pass  # the address is still being probed for duplicates: the kernel announces it then
