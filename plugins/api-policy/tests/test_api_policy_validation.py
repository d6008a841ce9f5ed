"""Each rule of PodDisruptionBudgets."""

from typing import Any

import pytest

from kubrick_api.formats import PERCENT_RULE
from kubrick_api_policy.budgets import PodDisruptionBudgetStrategy


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"minAvailable": 1, "selector": {}}, []),
        (
            {"minAvailable": 1, "maxUnavailable": "x"},
            [
                'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":"x",'
                '"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
                f'spec.maxUnavailable: Invalid value: "x": {PERCENT_RULE}',
            ],
        ),
        (
            {"minAvailable": "101%", "unhealthyPodEvictionPolicy": "x"},
            [
                'spec.minAvailable: Invalid value: "101%": must not be greater than 100%',
                'spec.unhealthyPodEvictionPolicy: Unsupported value: "x": supported values: "AlwaysAllow", '
                '"IfHealthyBudget"',
            ],
        ),
        ({"maxUnavailable": -1}, ["spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)
def test_a_budget(spec: dict[str, Any], wrong: list[str]) -> None:
    obj = {"metadata": {"name": "b"}, "spec": spec}
    assert [str(error) for error in PodDisruptionBudgetStrategy().validate(obj)] == wrong


def test_a_status() -> None:
    status = {"conditions": [{"type": "A", "status": "True", "reason": "R"}], "expectedPods": -1}
    errors = PodDisruptionBudgetStrategy().validate_status_update({"status": status}, {})
    assert [str(error) for error in errors] == [
        "status.conditions[0].lastTransitionTime: Required value: must be set",
        "status.expectedPods: Invalid value: -1: must be greater than or equal to 0",
    ]
