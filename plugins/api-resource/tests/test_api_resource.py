"""Dynamic resources: defaults, refusals, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_resource.claims import ResourceClaimStrategy, ResourceSliceStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            ResourceClaimStrategy(),
            obj(spec={"devices": {"requests": [{"name": "r", "exactly": {}}]}}),
            {
                "spec": {
                    "devices": {"requests": [{"name": "r", "exactly": {"allocationMode": "ExactCount", "count": 1}}]}
                }
            },
        ),
    ],
)
def test_defaults(strategy: Strategy, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    strategy.default(given)
    assert given == {"metadata": given["metadata"], **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (ResourceSliceStrategy(), obj(spec={}), "spec.driver: Required value"),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (ResourceClaimStrategy(), obj(status={"allocation": {}, "reservedFor": [{}]}), ["allocated,reserved", "5m"]),
        (
            ResourceSliceStrategy(),
            obj(spec={"nodeName": "n", "driver": "d", "pool": {"name": "p"}}),
            ["n", "d", "p", "5m"],
        ),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
