"""Each rule of PriorityClasses."""

from typing import Any

import pytest

from kubrick_api_scheduling.priorityclasses import RESERVED, PriorityClassStrategy


def obj(name: str, **fields: Any) -> dict[str, Any]:
    made = {"metadata": {"name": name}, **fields}
    PriorityClassStrategy().default(made)
    return made


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (obj("high", value=1_000_000_000), []),
        (obj("system-node-critical", value=2_000_001_000), []),
        (
            obj("high", value=1_000_000_001, preemptionPolicy="x"),
            [
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
                'preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", "Never"',
            ],
        ),
        (
            obj("system-mine"),
            [f"metadata.name: Forbidden: {RESERVED}. error: system-mine is not a known system priority class"],
        ),
        (
            obj("system-cluster-critical", value=1),
            [
                f"metadata.name: Forbidden: {RESERVED}. error: value of system-cluster-critical PriorityClass must be "
                "2000000000"
            ],
        ),
        (
            obj("system-cluster-critical", value=2_000_000_000, globalDefault=True),
            [
                f"metadata.name: Forbidden: {RESERVED}. error: globalDefault of system-cluster-critical PriorityClass "
                "must be false"
            ],
        ),
    ],
)
def test_a_priority_class(made: dict[str, Any], wrong: list[str]) -> None:
    assert [str(error) for error in PriorityClassStrategy().validate(made)] == wrong


def test_value_and_preemption_stay() -> None:
    new = obj("high", value=2, preemptionPolicy="Never", description="d")
    assert [str(error) for error in PriorityClassStrategy().validate_replacement(new, obj("high", value=1))] == [
        "value: Invalid value: 2: field is immutable",
        'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]
