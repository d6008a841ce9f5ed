"""Each rule of PodDisruptionBudgets."""

from typing import Any

import pytest

from kubrick_api.formats import PERCENT_RULE
from kubrick_api_policy import POD_DISRUPTION_BUDGETS as BUDGETS
from kubrick_api_policy.budgets import PodDisruptionBudgetStrategy
from kubrick_testing import run_cluster


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


def test_a_selector_that_was_wrong_may_stay() -> None:
    wrong = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}
    old, fine = {"spec": {"selector": wrong, "minAvailable": 1}}, {"spec": {"minAvailable": 1}}
    new = {"spec": {"selector": wrong, "minAvailable": 2}}
    assert PodDisruptionBudgetStrategy().validate_replacement(new, old) == []
    (error,) = PodDisruptionBudgetStrategy().validate_replacement(new, fine)
    assert error.field == "spec.selector.matchExpressions[0].values[0]"


CONDITION = {"type": "A", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        ({"conditions": [CONDITION], "expectedPods": 3, "disruptionsAllowed": 1}, []),
        (
            {"conditions": [{**CONDITION, "lastTransitionTime": None}], "expectedPods": -1},
            [
                "status.conditions[0].lastTransitionTime: Required value: must be set",
                "status.expectedPods: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            dict.fromkeys(("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"), -2),
            [
                f"status.{name}: Invalid value: -2: must be greater than or equal to 0"
                for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
            ],
        ),
        (
            {"conditions": [CONDITION, {**CONDITION, "status": "x", "reason": "", "observedGeneration": -1}]},
            [
                'status.conditions[1].type: Duplicate value: "A"',
                'status.conditions[1].status: Unsupported value: "x": supported values: "False", "True", "Unknown"',
                "status.conditions[1].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
                "status.conditions[1].reason: Required value: must be set",
            ],
        ),
    ],
)
def test_a_status(status: dict[str, Any], wrong: list[str]) -> None:
    errors = PodDisruptionBudgetStrategy().validate_status_update({"status": status}, {})
    assert [str(error) for error in errors] == wrong


async def test_labels_may_come_along_with_a_status_and_a_spec_may_not() -> None:
    async with run_cluster("api") as cluster:
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}}
        await cluster.client.create(BUDGETS, {**body, "spec": {"minAvailable": 1}}, "default")
        counted = {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}
        patch = {"metadata": {"labels": {"a": "b"}}, "spec": {"minAvailable": 2}, "status": counted}
        after = await cluster.client.patch(BUDGETS, "b", patch, "default", subresource="status")
        assert (after["metadata"]["labels"], after["spec"]["minAvailable"]) == ({"a": "b"}, 1)
        assert after["status"] == counted
