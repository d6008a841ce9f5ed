"""Ingresses, network policies, addresses and ranges."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_networking.ingresses import IngressStrategy
from kubrick_api_networking.networks import IPAddressStrategy, ServiceCIDRStrategy
from kubrick_api_networking.policies import NetworkPolicyStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": spec}


@pytest.mark.parametrize(
    ("strategy", "made", "wanted"),
    [
        (IngressStrategy(), obj(), "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
        (
            IngressStrategy(),
            obj(rules=[{"http": {"paths": [{"backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]),
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        ),
        (
            NetworkPolicyStrategy(),
            obj(ingress=[{"from": [{}]}]),
            "spec.ingress[0].from[0]: Required value: must specify a peer",
        ),
        (
            ServiceCIDRStrategy(),
            obj(cidrs=["10.0.0.1"]),
            'spec.cidrs[0]: Invalid value: "10.0.0.1": must be a valid CIDR value',
        ),
        (IPAddressStrategy(), obj(), "spec.parentRef: Required value"),
    ],
)
def test_mistakes(strategy: Strategy, made: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(made))


def test_a_policy_with_egress_rules_is_about_both_directions() -> None:
    made = obj(egress=[{"ports": [{"port": 53}]}])
    NetworkPolicyStrategy().default(made)
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert made["spec"]["egress"][0]["ports"][0]["protocol"] == "TCP"


def test_an_address_is_named_by_its_canonical_form() -> None:
    assert IPAddressStrategy().validate_name("2001:db8::1", False) == []
    assert IPAddressStrategy().validate_name("2001:0db8::1", False) == ['must be in canonical form ("2001:db8::1")']


def test_rows() -> None:
    row = IngressStrategy().row(obj(rules=[{"host": "a.b"}], tls=[{}]), NOW)
    assert row == ["x", "<none>", "a.b", "", "80, 443", "<unknown>"]
    parent = {"resource": "services", "namespace": "ns", "name": "web"}
    assert IPAddressStrategy().row(obj(parentRef=parent), NOW) == ["x", "services/ns/web"]
