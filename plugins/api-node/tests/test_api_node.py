"""RuntimeClasses: refusals and rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_node.runtimeclasses import RuntimeClassStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (RuntimeClassStrategy(), obj(handler="runc"), {"handler": "runc"}),
    ],
)
def test_defaults(strategy: Strategy, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    strategy.default(given)
    assert given == {"metadata": given["metadata"], **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            RuntimeClassStrategy(),
            obj(handler="Run C"),
            'handler: Invalid value: "Run C": a lowercase RFC 1123 label must consist of',
        ),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (RuntimeClassStrategy(), obj(handler="runc"), ["runc", "5m"]),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
