"""The plan of an attachment and the text of its rules. What the kernel makes of them is in tests/root."""

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kubrick_cni_bridge.masquerade import DELETE_TABLE, chain, elements, everything, found, lacking, owner, removal
from kubrick_cni_bridge.plan import Plan, alias, host_name, make_plan, read_settings
from kubrick_network import Address, CNIError, Result, Route
from kubrick_network.testing import network_alone, request

V4 = Result(ips=(Address(ip_interface("10.22.0.5/16")),))
BOTH = Result(ips=(Address(ip_interface("10.22.0.5/16")), Address(ip_interface("fd00:22::5/64"))))


def plan(given: Result | None = V4, **config: Any) -> Plan:
    asked = request(**{"ipam": {"type": "host-local"}, **config})
    return make_plan(read_settings(asked), asked, given)


def test_it_answers_the_hook() -> None:
    kernel = network_alone("cni-bridge")
    (plugins,) = kernel.plugins.hook.kubrick_register_cni(kernel=kernel)
    assert [plugin.name for plugin in plugins] == ["bridge"]


def test_a_bare_bridge_routes_nothing() -> None:
    made = plan()
    assert (made.settings.bridge, made.gateways, made.routes, made.masquerade) == ("cni0", (), (), ())
    assert made.addresses == (ip_interface("10.22.0.5/16"),)
    assert made.ips == (Address(ip_interface("10.22.0.5/16"), None, 2),)


def test_a_gateway_is_the_first_address_unless_it_is_said() -> None:
    made = plan(BOTH, isGateway=True)
    assert made.gateways == (ip_interface("10.22.0.1/16"), ip_interface("fd00:22::1/64"))
    assert [str(ip.gateway) for ip in made.ips] == ["10.22.0.1", "fd00:22::1"]
    said = Result(ips=(Address(ip_interface("10.22.0.5/16"), ip_address("10.22.0.99")),))
    assert plan(said, isGateway=True).gateways == (ip_interface("10.22.0.99/16"),)


def test_a_default_gateway_adds_default_routes_of_each_family() -> None:
    made = plan(BOTH, isDefaultGateway=True)
    assert [(str(route.dst), str(route.gw)) for route in made.routes] == [
        ("0.0.0.0/0", "10.22.0.1"),
        ("::/0", "fd00:22::1"),
    ]
    assert made.result_routes == made.routes


def test_a_default_route_of_address_management_is_kept_and_gets_the_gateway() -> None:
    given = evolve(V4, routes=(Route(ip_network("0.0.0.0/0")), Route(ip_network("10.9.0.0/16"))))
    made = plan(given, isDefaultGateway=True)
    assert [str(route.gw) for route in made.routes] == ["10.22.0.1", "10.22.0.1"]
    assert made.result_routes == given.routes


def test_another_default_route_contradicts_the_default_gateway() -> None:
    given = evolve(V4, routes=(Route(ip_network("0.0.0.0/0"), ip_address("10.22.7.7")),))
    with pytest.raises(CNIError, match=r"isDefaultGateway ineffective .* '10\.22\.7\.7'"):
        plan(given, isDefaultGateway=True)


def test_without_address_management_there_are_only_links() -> None:
    made = plan(None, ipam={}, isDefaultGateway=True)
    assert (made.addresses, made.gateways, made.routes, made.ips) == ((), (), (), ())


def test_in_a_vlan_the_gateway_is_an_interface_of_its_own() -> None:
    assert plan(isGateway=True, vlan=100, bridge="br0").gateway_interface == "br0.100"
    assert plan(isGateway=True, bridge="br0").gateway_interface == "br0"


def test_a_mac_address_may_be_asked_for_in_four_ways() -> None:
    mac = "02:00:00:AA:BB:CC"
    ways: list[dict[str, Any]] = [{"mac": mac}, {"runtimeConfig": {"mac": mac}}, {"args": {"cni": {"mac": mac}}}]
    assert {plan(**way).settings.mac for way in ways} == {mac.lower()}
    assert read_settings(evolve(request(), args={"MAC": mac})).mac == mac.lower()


@pytest.mark.parametrize(
    ("config", "code", "message"),
    [
        ({"vlan": 4095}, 7, "invalid vlan 4095 (must be between 0 and 4094)"),
        ({"mtu": "big"}, 7, "invalid mtu 'big' (must be between 0 and 65535)"),
        ({"isGateway": "yes"}, 7, "isGateway must be true or false, not 'yes'"),
        (
            {"hairpinMode": True, "promiscMode": True},
            7,
            "cannot set hairpin mode and promiscuous mode at the same time",
        ),
        ({"bridge": "a-bridge-with-a-long-name"}, 4, "interface name 'a-bridge-with-a-long-name' is too long"),
        ({"mac": "no"}, 7, "invalid MAC address 'no'"),
        ({"ipMasq": True, "ipam": {}}, 7, "ipMasq needs an ipam: without addresses there is nothing to masquerade"),
        ({"ipMasqExcept": ["x"]}, 7, "ipMasqExcept must be a list of networks"),
        ({"macspoofchk": True}, 2, "macspoofchk is not supported"),
    ],
)
def test_a_bad_configuration_is_refused_with_its_reason(config: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(CNIError) as error:
        plan(**config)
    assert (error.value.code, error.value.msg) == (code, message)


def test_an_address_plugin_that_gives_none_is_an_error() -> None:
    with pytest.raises(CNIError, match="missing IP config"):
        plan(Result())


names = st.text("abcXYZ019_.-", min_size=1, max_size=99).map(lambda text: f"n{text}")


@given(names, names, names)
def test_names_fit_where_the_kernel_keeps_them(network: str, container: str, ifname: str) -> None:
    asked = evolve(request(container=container), config={"name": network})
    assert len(host_name(asked)) <= 15
    assert len(alias(network, container, ifname)) < 256
    assert len(owner(network, container, ifname[:15])) <= 128


def test_only_packets_to_elsewhere_are_masqueraded() -> None:
    made = plan(BOTH, ipMasq=True, ipMasqExcept=["10.0.0.0/8", "10.22.0.0/16"])
    assert made.masquerade == (
        (ip_address("10.22.0.5"), (ip_network("10.0.0.0/8"), ip_network("224.0.0.0/4"))),
        (ip_address("fd00:22::5"), (ip_network("fd00:22::/64"), ip_network("ff00::/8"))),
    )
    assert everything(made.masquerade[:1], "who") == (
        "add table inet kubrick_bridge\n"
        "add map inet kubrick_bridge sources4 { type ipv4_addr : verdict; }\n"
        "add map inet kubrick_bridge sources6 { type ipv6_addr : verdict; }\n"
        "add chain inet kubrick_bridge postrouting { type nat hook postrouting priority srcnat; policy accept; }\n"
        "flush chain inet kubrick_bridge postrouting\n"
        "add rule inet kubrick_bridge postrouting ip saddr vmap @sources4\n"
        "add rule inet kubrick_bridge postrouting ip6 saddr vmap @sources6\n"
        "add chain inet kubrick_bridge net-78b52ca0c1\n"
        "flush chain inet kubrick_bridge net-78b52ca0c1\n"
        "add rule inet kubrick_bridge net-78b52ca0c1 ip daddr { 10.0.0.0/8, 224.0.0.0/4 } return\n"
        "add rule inet kubrick_bridge net-78b52ca0c1 masquerade\n"
        'add element inet kubrick_bridge sources4 { 10.22.0.5 comment "who" : goto net-78b52ca0c1 }\n'
    )


def test_once_the_chain_is_there_an_element_is_all_it_takes() -> None:
    assert elements(plan(ipMasq=True).masquerade, "who").count("\n") == 1


LISTING: list[dict[str, Any]] = [
    {"table": {"name": "kubrick_bridge"}},
    {
        "map": {
            "name": "sources4",
            "elem": [
                [{"elem": {"val": "10.22.0.5", "comment": "a"}}, {"goto": {"target": "net-x"}}],
                [{"elem": {"val": "10.22.0.6", "comment": "b"}}, {"goto": {"target": "net-x"}}],
            ],
        }
    },
    {"map": {"name": "sources6"}},
]


def test_an_address_without_its_element_or_without_the_rules_around_it_is_not_masqueraded() -> None:
    sources = plan(ipMasq=True).masquerade
    ((_, kept),) = sources
    base = [{"rule": {"chain": "postrouting", "handle": n}} for n in (1, 2)]
    own = [{"rule": {"chain": chain(kept), "handle": n}} for n in (3, 4)]
    assert lacking([*LISTING, *base, *own], sources, "a") == ""
    assert lacking([*LISTING, *base, *own], sources, "c") == "10.22.0.5 is not masqueraded"
    assert "rules of the table" in lacking([*LISTING, *base[:1], *own], sources, "a")
    assert "rules of the table" in lacking([*LISTING, *base, *own[:1]], sources, "a")
    assert lacking([], (), "a") == ""


def test_removal_takes_ones_own_and_the_last_takes_the_table() -> None:
    assert [element.address for element in found(LISTING)] == ["10.22.0.5", "10.22.0.6"]
    assert removal(LISTING, lambda one: one.comment == "a") == (
        "delete element inet kubrick_bridge sources4 { 10.22.0.5 }\n"
    )
    assert removal(LISTING, lambda one: True) == DELETE_TABLE
    assert removal(LISTING, lambda one: False) == ""
