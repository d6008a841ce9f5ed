"""Texts with a form, webhooks' addresses and conditions, in Kubernetes' words."""

import pytest

from kubrick_api import formats
from kubrick_api.conditions import validate_conditions
from kubrick_api.errors import FieldError
from kubrick_api.formats import (
    DNS1035_RULE,
    PERCENT_RULE,
    canonical_address,
    canonical_network,
    domain_prefixed_path,
    fully_qualified_name,
    int_or_percent,
    port_name,
    qualified_domain_name,
    special_address,
)
from kubrick_api.validation import SUBDOMAIN_RULE
from kubrick_api.webhooks import validate_client_config

FORM = "; desired format: https://host[/path]"


def said(errors: "list[FieldError]") -> list[str]:
    return [str(error) for error in errors]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("", ["n: Required value"]),
        ("a.b", ['n: Invalid value: "a.b": should be a domain with at least three segments separated by dots']),
        ("A.b.c", [f'n: Invalid value: "A.b.c": {SUBDOMAIN_RULE}']),
        ("a.b.c", []),
    ],
)
def test_a_webhook_has_a_name_of_three_parts(name: str, wrong: list[str]) -> None:
    assert said(fully_qualified_name(name, "n")) == wrong


def test_a_domain_may_end_in_a_dot_and_has_two_parts() -> None:
    assert qualified_domain_name("a.b.", "n") == []
    why = "should be a domain with at least two segments separated by dots"
    assert said(qualified_domain_name("a.", "n")) == [f'n: Invalid value: "a": {why}']
    assert said(qualified_domain_name("", "n")) == ["n: Required value"]


def test_a_controller_is_named_by_a_path_in_a_domain() -> None:
    assert domain_prefixed_path("acme.io/foo/bar", "c") == []
    why = 'must be a domain-prefixed path (such as "acme.io/foo")'
    for text in ("acme.io", "acme.io/", "/foo"):
        assert said(domain_prefixed_path(text, "c")) == [f'c: Invalid value: "{text}": {why}']
    (error,) = domain_prefixed_path("acme.io/a b", "c")
    assert str(error).startswith('c: Invalid value: "a b": Invalid path (regex used for validation is ')


def test_port_names_are_iana_service_names() -> None:
    assert port_name("http-2") == []
    assert port_name("-1--2-") == [
        "must contain at least one letter (a-z)",
        "must not contain consecutive hyphens",
        "must not begin or end with a hyphen",
    ]
    assert port_name("a" * 16) == ["must be no more than 15 bytes"]
    assert port_name("A") == [
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        "must contain at least one letter (a-z)",
    ]


def test_a_dns_1035_label_starts_with_a_letter() -> None:
    assert formats.dns1035_label("a1") == []
    assert formats.dns1035_label("1a") == [DNS1035_RULE]
    assert "(e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')" in DNS1035_RULE


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (None, []),
        (0, []),
        ("25%", []),
        (-1, ["p: Invalid value: -1: must be greater than or equal to 0"]),
        ("25", [f'p: Invalid value: "25": {PERCENT_RULE}']),
    ],
)
def test_a_count_or_percentage(value: object, wrong: list[str]) -> None:
    assert said(int_or_percent(value, "p")) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("10.0.0.1", []),
        ("2001:db8::1", []),
        ("2001:DB8::1", ['must be in canonical form ("2001:db8::1")']),
        ("010.0.0.1", ["must not have leading 0s"]),
        ("x", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
    ],
)
def test_a_new_address_has_one_spelling(text: str, wrong: list[str]) -> None:
    assert canonical_address(text) == wrong


def test_a_new_range_has_one_spelling() -> None:
    assert canonical_network("10.0.0.0/8") == []
    assert canonical_network("10.0.0.1/8") == ["must not have bits set beyond the prefix length"]
    assert canonical_network("2001:DB8::/32") == ['must be in canonical form ("2001:db8::/32")']


def test_nobody_is_sent_to_special_addresses() -> None:
    assert special_address("10.1.2.3") == special_address("fd00::1") == []
    assert special_address("127.0.0.1") == ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
    assert special_address("0.0.0.0") == ["may not be unspecified (0.0.0.0)"]
    assert special_address("fe80::1") == ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
    assert special_address("224.0.0.9") == ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]


SERVICE = {"name": "s", "namespace": "n", "port": 443}


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ({"url": "https://a.b/c"}, []),
        ({"service": {**SERVICE, "path": "/a/b/"}}, []),
        ({}, ["c: Required value: exactly one of url or service is required"]),
        ({"url": "https://a", "service": SERVICE}, ["c: Required value: exactly one of url or service is required"]),
        (
            {"url": "http://u@a/b?c#d"},
            [
                f"c.url: Invalid value: \"http\": 'https' is the only allowed URL scheme{FORM}",
                'c.url: Invalid value: "u": user information is not permitted in the URL',
                'c.url: Invalid value: "d": fragments are not permitted in the URL',
                'c.url: Invalid value: "c": query parameters are not permitted in the URL',
            ],
        ),
        (
            {"url": "a"},
            [
                f"c.url: Invalid value: \"\": 'https' is the only allowed URL scheme{FORM}",
                f'c.url: Invalid value: "": host must be specified{FORM}',
            ],
        ),
        (
            {"service": {"path": "a//", "port": 0}},
            [
                "c.service.name: Required value: service name is required",
                "c.service.namespace: Required value: service namespace is required",
                "c.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
                "c.service.path: Invalid value: \"a//\": must start with a '/'",
                'c.service.path: Invalid value: "a//": segment[0] may not be empty',
                'c.service.path: Invalid value: "a//": segment[1] may not be empty',
            ],
        ),
    ],
)
def test_a_webhook_lives_at_a_url_or_a_service(config: dict[str, object], wrong: list[str]) -> None:
    assert said(list(validate_client_config(config, "c"))) == wrong


def test_conditions_say_what_since_when_and_why() -> None:
    good = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Fine"}
    assert list(validate_conditions([good], "s")) == []
    bad = {"type": "Ready", "status": "Yes", "observedGeneration": -1, "reason": "not fine"}
    errors = said(list(validate_conditions([good, bad, {**good, "type": "B", "reason": ""}], "s")))
    assert errors[:4] == [
        's[1].type: Duplicate value: "Ready"',
        's[1].status: Unsupported value: "Yes": supported values: "False", "True", "Unknown"',
        "s[1].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
        "s[1].lastTransitionTime: Required value: must be set",
    ]
    assert errors[4].startswith('s[1].reason: Invalid value: "not fine": a condition reason must start with')
    assert errors[5:] == ["s[2].reason: Required value: must be set"]
