"""FlowSchemas and priority levels: defaults, refusals, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_flowcontrol.flows import FlowSchemaStrategy, PriorityLevelStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (FlowSchemaStrategy(), obj(), {"spec": {"matchingPrecedence": 1000}}),
        (
            PriorityLevelStrategy(),
            obj(spec={"type": "Limited", "limited": {"limitResponse": {"queuing": {}}}}),
            {
                "spec": {
                    "type": "Limited",
                    "limited": {
                        "limitResponse": {"queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}},
                        "nominalConcurrencyShares": 30,
                        "lendablePercent": 0,
                    },
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
        (FlowSchemaStrategy(), obj(spec={"matchingPrecedence": 10001}), "must not be greater than 10000"),
        (
            PriorityLevelStrategy(),
            obj(spec={"type": "Limited"}),
            "spec.limited: Required value: must not be empty when type is Limited",
        ),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (
            FlowSchemaStrategy(),
            obj(spec={"matchingPrecedence": 5, "priorityLevelConfiguration": {"name": "p"}}),
            ["p", "5", "<none>", "5m", "?"],
        ),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
