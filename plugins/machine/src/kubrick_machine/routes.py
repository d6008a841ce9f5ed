"""Services' addresses stay on this machine, whatever the rules say.

No interface has them: rules rewrite them on their way out. But before that the kernel wants a route, so that a
machine without a default route can't reach its own Services; and one with a default route sends them there when
somebody has flushed the rules. A route to the loopback interface helps both: what is rewritten gets its real route
afterwards, and what isn't ends there.
"""

import errno
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_network

from kubrick_network.netlink import IPRoute, NetlinkError, need_link

PROTOCOL = 85
"""Who made the route (rt_protos): tells ours from a user's."""
_LINK = 253


def planned(ranges: Iterable[str], gateways: Sequence[IPv4Interface | IPv6Interface]) -> Iterator[tuple[str, str]]:
    """(range, source address) for each range of services whose family has pods. Pure."""
    for text in ranges:
        network = ip_network(text.strip())
        source = next((one for one in gateways if one.version == network.version), None)
        if source is not None:
            yield str(network), str(source.ip)


def add(ip: IPRoute, routes: Iterable[tuple[str, str]]) -> None:
    """One that is there already is left."""
    loopback = need_link(ip, "lo").index
    for destination, source in routes:
        scope = {} if ":" in destination else {"scope": _LINK}
        try:
            ip.route("add", dst=destination, oif=loopback, prefsrc=source, proto=PROTOCOL, **scope)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise


def remove(ip: IPRoute, routes: Iterable[tuple[str, str]]) -> None:
    loopback = need_link(ip, "lo").index
    for destination, _ in routes:
        scope = {} if ":" in destination else {"scope": _LINK}
        try:
            ip.route("del", dst=destination, oif=loopback, proto=PROTOCOL, **scope)
        except NetlinkError as error:
            if error.code != errno.ESRCH:
                raise
