"""The rules of a container's host ports, as text. What the kernel makes of them is in tests/root."""

from ipaddress import ip_interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_cni_portmap.rules import DELETE_TABLE, headless, owned, owner, read_settings, removal, rules, whose
from kubrick_network import Address, CNIError
from kubrick_network.testing import network_alone, request

V4, V6 = Address(ip_interface("10.22.0.5/16")), Address(ip_interface("fd00:22::5/64"))
PORT = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}


def texts(*mappings: dict[str, Any], ips: tuple[Address, ...] = (V4,), **config: Any) -> list[str]:
    asked = request(runtimeConfig={"portMappings": [*mappings]}, **config)
    return [f"{rule.chain}: {rule.text}" for rule in rules(read_settings(asked), "who", ips)]


def test_it_answers_the_hook() -> None:
    kernel = network_alone("cni-portmap")
    (plugins,) = kernel.plugins.hook.kubrick_register_cni(kernel=kernel)
    assert [plugin.name for plugin in plugins] == ["portmap"]


def test_a_port_is_forwarded_and_neighbours_and_localhost_masqueraded() -> None:
    assert texts(PORT) == [
        "hostports: meta nfproto ipv4 tcp dport 8080 dnat ip to 10.22.0.5:80",
        "masquerading: ip saddr { 127.0.0.0/8, 10.22.0.0/16 } ip daddr 10.22.0.5 tcp dport 80 "
        "ct original proto-dst 8080 ct status dnat masquerade",
    ]


def test_each_family_goes_to_its_first_address() -> None:
    ips = (V4, V6, Address(ip_interface("10.22.0.6/16")))
    assert texts(PORT, ips=ips, snat=False) == [
        "hostports: meta nfproto ipv4 tcp dport 8080 dnat ip to 10.22.0.5:80",
        "hostports: meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00:22::5]:80",
    ]


def test_a_host_address_narrows_and_the_unspecified_does_not() -> None:
    one = PORT | {"hostIP": "192.0.2.1", "protocol": "UDP"}
    assert texts(one, ips=(V4, V6), snat=False) == [
        "hostports: ip daddr 192.0.2.1 udp dport 8080 dnat ip to 10.22.0.5:80"
    ]
    assert texts(PORT | {"hostIP": "::"}, ips=(V4, V6), snat=False) == [
        "hostports: meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00:22::5]:80"
    ]


def test_keys_are_read_as_containerd_writes_them() -> None:
    theirs = {"HostPort": 8080, "ContainerPort": 80, "Protocol": "udp", "HostIP": "192.0.2.1"}
    assert texts(theirs, snat=False) == ["hostports: ip daddr 192.0.2.1 udp dport 8080 dnat ip to 10.22.0.5:80"]


def test_everything_may_be_masqueraded() -> None:
    assert texts(PORT, masqAll=True)[1].startswith("masquerading: meta nfproto ipv4 ip daddr 10.22.0.5")


@pytest.mark.parametrize(
    "words",
    [["ip", "daddr", "!=", "192.0.2.0/24"], ["!", "-d", "192.0.2.0/24"], ["!", "--destination", "192.0.2.9/24"]],
)
def test_conditions_are_words_of_nft_or_the_plain_matches_of_iptables(words: list[str]) -> None:
    assert texts(PORT, conditionsV4=words, snat=False) == [
        "hostports: meta nfproto ipv4 ip daddr != 192.0.2.0/24 tcp dport 8080 dnat ip to 10.22.0.5:80"
    ]


def test_a_port_that_is_only_declared_is_none() -> None:
    assert texts({"hostPort": 0, "containerPort": 80}) == []


@pytest.mark.parametrize(
    ("mapping", "config", "message"),
    [
        (PORT | {"hostPort": 70000}, {}, "portMappings[0]: Invalid hostPort: 70000"),
        (PORT | {"containerPort": 0}, {}, "portMappings[0]: Invalid containerPort: 0"),
        (PORT | {"protocol": "icmp"}, {}, "portMappings[0]: unknown protocol 'icmp'"),
        (PORT | {"hostIP": "host"}, {}, "portMappings[0]: hostIP is no address"),
        (PORT, {"conditionsV4": ["drop; flush ruleset"]}, "conditions must be a list of words of an nftables match"),
        (PORT, {"conditionsV4": ["-m", "mark"]}, "the condition '-m mark' is not supported"),
        (PORT, {"backend": "iptables"}, "backend 'iptables' is not supported"),
        (PORT, {"externalSetMarkChain": "KUBE-MARK-MASQ"}, "externalSetMarkChain is not supported"),
    ],
)
def test_a_bad_configuration_is_refused_with_its_reason(
    mapping: dict[str, Any], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(CNIError) as error:
        texts(mapping, **config)
    assert error.value.msg == message


names = st.text("abcXYZ019_.-", min_size=1, max_size=299).map(lambda text: f"n{text}")


@given(names, names)
def test_a_comment_holds_whose_a_rule_is(network: str, container: str) -> None:
    holder = owner(network, container, "interface-name0")
    asked = request(runtimeConfig={"portMappings": [PORT]})
    for rule in rules(read_settings(asked), holder, [V4]):
        assert len(rule.comment) <= 128
        assert whose(rule.comment) == holder


def test_what_a_rule_is_stands_in_its_comment_too() -> None:
    asked = request(runtimeConfig={"portMappings": [PORT, PORT | {"hostPort": 8081}]})
    comments = [rule.comment for rule in rules(read_settings(asked), "who", [V4])]
    assert len(set(comments)) == 4


LISTING: list[dict[str, Any]] = [
    {"rule": {"chain": "prerouting", "handle": 3}},
    {"rule": {"chain": "hostports", "handle": 7, "comment": "a x"}},
    {"rule": {"chain": "masquerading", "handle": 8, "comment": "b x"}},
]


def test_chains_that_lost_the_rules_that_are_everybodys_are_named() -> None:
    assert headless(LISTING) == ["output", "martians"]
    assert headless([*LISTING, {"rule": {"chain": "output"}}, {"rule": {"chain": "martians"}}]) == []


def test_removal_takes_ones_own_and_the_last_takes_the_table() -> None:
    first, second = owned(LISTING)
    assert removal(LISTING, [first]) == "delete rule inet kubrick_portmap hostports handle 7\n"
    assert removal(LISTING, [first, second]) == DELETE_TABLE
    assert removal(LISTING, []) == ""
