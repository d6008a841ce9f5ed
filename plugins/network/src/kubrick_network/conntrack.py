"""Forgets tracked UDP connections: to the kernel a client that goes on sending is one connection, which stays with
whoever answered first, or with nobody."""

import socket
from collections.abc import Iterable

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def forget_udp(ports: Iterable[int], version: int) -> None:
    """Forget what was sent to these ports. Raises OSError, NetlinkError where nothing is tracked."""
    family = FAMILIES[version]
    with NFCTSocket(family) as tracked:
        for port in set(ports):
            wanted = NFCTAttrTuple(family=family, proto=socket.IPPROTO_UDP, dport=port)
            for found in list(tracked.dump(tuple_orig=wanted)):
                original = NFCTAttrTuple.from_netlink(family, found.get_attr("CTA_TUPLE_ORIG"))
                if original.proto == socket.IPPROTO_UDP and original.dport == port:  # old kernels don't filter
                    _forget(tracked, original)


def _forget(tracked: NFCTSocket, original: NFCTAttrTuple) -> None:
    try:
        tracked.entry("del", tuple_orig=original)
    except NetlinkError as error:
        if error.code != 2:  # it has ended meanwhile
            raise
