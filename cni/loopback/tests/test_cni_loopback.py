"""The result of bringing `lo` up. The bringing up is in tests/root."""

from ipaddress import ip_interface

from kubrick_cni_loopback.plugin import result
from kubrick_network import Address, Interface, Result, render_result
from kubrick_network.testing import network_alone, request


def test_it_answers_the_hook() -> None:
    kernel = network_alone("cni-loopback")
    (plugins,) = kernel.plugins.hook.kubrick_register_cni(kernel=kernel)
    assert [plugin.name for plugin in plugins] == ["loopback"]


def test_it_tells_the_addresses_the_kernel_gave() -> None:
    made = result(request(netns="/run/netns/box"), {"::1/128", "127.0.0.1/8"}, "00:00:00:00:00:00")
    assert made.interfaces == (Interface("lo", "00:00:00:00:00:00", sandbox="/run/netns/box"),)
    assert [str(ip.address) for ip in made.ips] == ["127.0.0.1/8", "::1/128"]


def test_in_a_chain_it_passes_on_what_came_before() -> None:
    before = Result(ips=(Address(ip_interface("10.0.0.2/24")),))
    assert result(request(prevResult=render_result(before, "1.1.0")), {"127.0.0.1/8"}, "") == before
