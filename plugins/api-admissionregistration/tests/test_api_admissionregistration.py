"""Webhook configurations and admission policies: defaults, refusals, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_admissionregistration.policies import PolicyBindingStrategy, PolicyStrategy
from kubrick_api_admissionregistration.webhooks import WebhookConfigurationStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            WebhookConfigurationStrategy(mutating=True),
            obj(webhooks=[{"clientConfig": {"service": {}}, "rules": [{}]}]),
            {
                "webhooks": [
                    {
                        "clientConfig": {"service": {"port": 443}},
                        "rules": [{"scope": "*"}],
                        "failurePolicy": "Fail",
                        "matchPolicy": "Equivalent",
                        "namespaceSelector": {},
                        "objectSelector": {},
                        "timeoutSeconds": 10,
                        "reinvocationPolicy": "Never",
                    }
                ]
            },
        ),
        (PolicyStrategy("validations"), obj(), {"spec": {"failurePolicy": "Fail"}}),
    ],
)
def test_defaults(strategy: Strategy, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    strategy.default(given)
    assert given == {"metadata": given["metadata"], **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            WebhookConfigurationStrategy(mutating=False),
            obj(webhooks=[{"name": "a.b"}]),
            "should be a domain with at least three segments",
        ),
        (PolicyBindingStrategy(), obj(spec={}), "spec.policyName: Required value"),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (WebhookConfigurationStrategy(mutating=False), obj(webhooks=[{}]), [1, "5m"]),
        (PolicyBindingStrategy(), obj(spec={"policyName": "p", "paramRef": {"name": "n"}}), ["p", "*/n", "5m"]),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
