"""The plugin loopback: brings `lo` up; the kernel gives it its addresses."""

from ipaddress import ip_interface

from kubrick_network import SUPPORTED, Address, CNIError, Interface, Request, Result
from kubrick_network.errors import CHECK_FAILED
from kubrick_network.namespace import NoNamespace, inside
from kubrick_network.netlink import IPRoute, Link, addresses, need_link

LO = "lo"


def result(request: Request, found: set[str], mac: str) -> Result:
    """What is there, unless this is one plugin of a chain: then what came before."""
    previous = request.previous
    if previous is not None:
        return previous
    ips = tuple(Address(ip_interface(one), interface=0) for one in sorted(found, key=lambda one: ":" in one))
    return Result((Interface(LO, mac, sandbox=request.netns),), ips)


class Loopback:
    """Brings a container's loopback interface up. It ignores CNI_IFNAME: there is only one."""

    name = "loopback"
    versions = SUPPORTED

    def add(self, request: Request) -> Result:
        found, mac = inside(request.netns, self._bring_up)
        return result(request, found, mac)

    def _bring_up(self) -> tuple[set[str], str]:
        with IPRoute() as ip:
            link = need_link(ip, LO)
            ip.link("set", index=link.index, state="up")
            return addresses(ip, link.index), link.mac

    def delete(self, request: Request) -> None:
        def bring_down() -> None:
            with IPRoute() as ip:
                ip.link("set", index=need_link(ip, LO).index, state="down")

        if not request.netns:
            return
        try:
            inside(request.netns, bring_down)
        except NoNamespace:
            pass  # it went with its interface

    def check(self, request: Request) -> None:
        def look() -> Link:
            with IPRoute() as ip:
                return need_link(ip, LO)

        if not inside(request.netns, look).up:
            raise CNIError(CHECK_FAILED, f"loopback interface is down in {request.netns}")

    def gc(self, request: Request) -> None:
        """Nothing is kept."""

    def status(self, request: Request) -> None:
        """Always able."""

    def teardown(self, request: Request) -> None:
        """Nothing of it is outside containers."""
