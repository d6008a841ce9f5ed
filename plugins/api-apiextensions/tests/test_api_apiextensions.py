"""CustomResourceDefinitions: defaults, refusals, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_apiextensions.definitions import CustomResourceDefinitionStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            CustomResourceDefinitionStrategy(),
            obj(spec={"names": {"kind": "Widget"}}),
            {
                "spec": {
                    "names": {"kind": "Widget", "singular": "widget", "listKind": "WidgetList"},
                    "conversion": {"strategy": "None"},
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
        (CustomResourceDefinitionStrategy(), obj(spec={}), "spec.group: Required value"),
        (
            CustomResourceDefinitionStrategy(),
            obj(spec={"versions": []}),
            "must have exactly one version marked as storage version",
        ),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (CustomResourceDefinitionStrategy(), obj(), ["2025-12-31T23:55:00Z"]),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
