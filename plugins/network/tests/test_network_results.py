"""Results: read from and written as any version, losing only what the version can't say."""

from ipaddress import ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_network import DNS, SUPPORTED, Address, CNIError, Interface, Result, Route, parse_result, render_result
from kubrick_network.result import at_least, downgraded

NAMES = st.text("abcdef0123", min_size=1, max_size=10)
NUMBERS = st.integers(0, 65535)
MAYBE = st.none() | st.integers(0, 255)

interfaces = st.builds(
    Interface,
    NAMES,
    st.sampled_from(["", "02:00:00:00:00:01"]),
    NUMBERS,
    st.sampled_from(["", "/run/netns/box"]),
    st.sampled_from(["", "/run/vhost"]),
    st.sampled_from(["", "0000:01:00.0"]),
)
ips = st.ip_addresses()
addresses = st.builds(
    Address,
    ips.flatmap(lambda ip: st.integers(0, ip.max_prefixlen).map(lambda n: ip_interface(f"{ip}/{n}"))),
    st.none() | ips,
    st.none() | st.integers(0, 3),
)
routes = st.builds(
    Route,
    ips.flatmap(lambda ip: st.integers(0, ip.max_prefixlen).map(lambda n: ip_network(f"{ip}/{n}", strict=False))),
    st.none() | ips,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    MAYBE,
    MAYBE,
)
words = st.lists(NAMES, max_size=2).map(tuple)
results = st.builds(
    Result,
    st.lists(interfaces, max_size=3).map(tuple),
    st.lists(addresses, max_size=3).map(tuple),
    st.lists(routes, max_size=3).map(tuple),
    st.builds(DNS, words, st.just("") | NAMES, words, words),
)


@given(results, st.sampled_from(SUPPORTED))
def test_a_result_survives_the_trip_through_every_version(result: Result, version: str) -> None:
    document = render_result(result, version)
    assert document["cniVersion"] == version
    assert parse_result(document) == downgraded(result, version)


@given(results)
def test_the_latest_version_loses_nothing(result: Result) -> None:
    assert parse_result(render_result(result, SUPPORTED[-1])) == result


@given(results, st.sampled_from(SUPPORTED))
def test_addresses_say_their_family_before_version_1(result: Result, version: str) -> None:
    document = render_result(result, version)
    for ip in document.get("ips", ()):
        assert ("version" in ip) is not at_least(version, "1.0.0")


def test_an_unknown_version_is_refused_with_those_there_are() -> None:
    with pytest.raises(CNIError, match=r"supported are 0\.3\.0") as error:
        render_result(Result(), "0.2.0")
    assert error.value.code == 1


@pytest.mark.parametrize(
    "document",
    [{"ips": [{"address": "10.0.0.300/8"}]}, {"ips": [{}]}, {"routes": [{"dst": "x"}]}, {"interfaces": [3]}, [], 3],
)
def test_what_is_no_result_is_a_decoding_failure(document: object) -> None:
    with pytest.raises(CNIError) as error:
        parse_result(document)
    assert error.value.code == 6


def test_addresses_inside_are_those_of_sandboxed_interfaces() -> None:
    bridge, box = Interface("br0"), Interface("eth0", sandbox="/run/netns/box")
    inside, outside = Address(ip_interface("10.0.0.2/24"), None, 1), Address(ip_interface("10.0.0.1/24"), None, 0)
    assert Result((bridge, box), (outside, inside)).sandbox_ips() == [inside]
