"""PodDisruptionBudgets: refusals and rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_policy.budgets import PodDisruptionBudgetStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (PodDisruptionBudgetStrategy(), obj(), {"spec": {}}),
    ],
)
def test_defaults(strategy: Strategy, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    strategy.default(given)
    assert given == {"metadata": given["metadata"], **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            PodDisruptionBudgetStrategy(),
            obj(spec={"minAvailable": 1, "maxUnavailable": 1}),
            "minAvailable and maxUnavailable cannot be both set",
        ),
        (PodDisruptionBudgetStrategy(), obj(spec={"minAvailable": "lots"}), "a valid percent string must be"),
        (PodDisruptionBudgetStrategy(), obj(spec={"maxUnavailable": "101%"}), "must not be greater than 100%"),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (
            PodDisruptionBudgetStrategy(),
            obj(spec={"minAvailable": "50%"}, status={"disruptionsAllowed": 2}),
            ["50%", "N/A", 2, "5m"],
        ),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
