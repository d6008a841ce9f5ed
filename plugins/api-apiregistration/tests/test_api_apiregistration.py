"""APIServices: defaults, refusals, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_apiregistration.services import APIServiceStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (APIServiceStrategy(), obj(spec={"service": {}}), {"spec": {"service": {"port": 443}}}),
    ],
)
def test_defaults(strategy: Strategy, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    strategy.default(given)
    assert given == {"metadata": given["metadata"], **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            APIServiceStrategy(),
            obj(spec={"group": "g", "version": "v1"}),
            'must be `spec.version+"."+spec.group`: "v1.g"',
        ),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (APIServiceStrategy(), obj(spec={}), ["Local", "Unknown", "5m"]),
        (
            APIServiceStrategy(),
            obj(
                spec={"service": {"namespace": "n", "name": "s"}},
                status={"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]},
            ),
            ["n/s", "False (Gone)", "5m"],
        ),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
