"""Addresses and CIDRs: strict for new values, lenient for stored ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api import addresses


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.9.8.7", []),
        ("2001:db8::ffff", []),
        ("0.0.0.0", []),
        ("", [addresses.IP]),
        ("10.9.8", [addresses.IP]),
        ("fe80::1%eth0", [addresses.IP]),
        ("10.09.8.7", ["must not have leading 0s"]),
        ("::ffff:10.9.8.7", ["must not be an IPv4-mapped IPv6 address"]),
    ],
)
def test_an_address_is_refused_for_what_is_wrong_with_it(text: str, wanted: list[str]) -> None:
    shown = f'Invalid value: "{text}": '
    assert [error.message for error in addresses.check(text, "ip")] == [shown + why for why in wanted]


def test_an_address_that_was_stored_before_may_stay() -> None:
    assert addresses.check("10.09.8.7", "ip", ["10.09.8.7"]) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.0.0.0/8", []),
        ("2001:db8::/64", []),
        ("10.0.0.0", [addresses.CIDR]),
        ("10.0.0.0/33", [addresses.CIDR]),
        ("10.0.0.0/+8", [addresses.CIDR]),
        ("10.0.00.0/8", ["must not have leading 0s in IP or prefix length"]),
        ("10.0.0.0/08", ["must not have leading 0s in IP or prefix length"]),
        ("10.1.0.0/8", ["must not have bits set beyond the prefix length"]),
    ],
)
def test_a_cidr_is_refused_for_what_is_wrong_with_it(text: str, wanted: list[str]) -> None:
    shown = f'Invalid value: "{text}": '
    assert [error.message for error in addresses.check_cidr(text, "cidr")] == [shown + why for why in wanted]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.0.0.1", []),
        (
            "010.0.0.1",
            [
                'x: non-standard IP address "010.0.0.1" will be considered invalid in a future Kubernetes release: '
                'use "10.0.0.1"'
            ],
        ),
        (
            "::ffff:10.0.0.1",
            [
                'x: non-standard IP address "::ffff:10.0.0.1" will be considered invalid in a future Kubernetes '
                'release: use "10.0.0.1"'
            ],
        ),
        ("2001:DB8::1", ['x: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")']),
    ],
)
def test_an_unusual_spelling_is_warned_of(text: str, wanted: list[str]) -> None:
    assert addresses.spelling_warnings(text, "x") == wanted


def test_an_ambiguous_cidr_is_warned_of() -> None:
    assert addresses.cidr_spelling_warnings("10.1.0.1/16", "x") == [
        'x: CIDR value "10.1.0.1/16" is ambiguous in this context (should be "10.1.0.0/16" or "10.1.0.1/32"?)'
    ]


@given(st.ip_addresses())
def test_every_address_written_plainly_is_fine_unless_it_maps_ipv4(address: addresses.Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None) is not None
    assert bool(addresses.check(str(address), "ip")) == mapped
    assert addresses.family(str(address)) == ("IPv4" if mapped or address.version == 4 else "IPv6")


@given(st.text(max_size=20))
def test_no_text_is_too_odd(text: str) -> None:
    addresses.check(text, "ip")
    addresses.check_cidr(text, "cidr")
    addresses.spelling_warnings(text, "ip")
    addresses.cidr_spelling_warnings(text, "cidr")
