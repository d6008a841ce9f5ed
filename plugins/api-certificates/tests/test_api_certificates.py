"""CertificateSigningRequests: defaults, refusals, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_certificates.requests import SigningRequestStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (SigningRequestStrategy(), obj(), {"spec": {}}),
    ],
)
def test_defaults(strategy: Strategy, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    strategy.default(given)
    assert given == {"metadata": given["metadata"], **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            SigningRequestStrategy(),
            obj(spec={}),
            'spec.request: Invalid value: "": PEM block type must be CERTIFICATE REQUEST',
        ),
        (
            SigningRequestStrategy(),
            obj(spec={"expirationSeconds": 1}),
            "may not specify a duration less than 600 seconds (10 minutes)",
        ),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (
            SigningRequestStrategy(),
            obj(
                spec={"signerName": "s", "username": "ann"},
                status={"conditions": [{"type": "Approved"}], "certificate": "eA=="},
            ),
            ["5m", "s", "ann", "<none>", "Approved,Issued"],
        ),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
