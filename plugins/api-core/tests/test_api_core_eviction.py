"""Which budgets guard a pod, and what is said when one doesn't let it go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api_core import PODS
from kubrick_api_core.eviction import BLOCKED, MAX_DISRUPTED, spending
from kubrick_testing import Cluster, build

Object = dict[str, Any]
BUDGETS = GVR("policy", "v1", "poddisruptionbudgets")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOT_NOW = "The disruption budget b does not allow evicting pods currently"


def condition(reason: str, message: str, status: str = "False") -> Object:
    return {"conditions": [{"type": "DisruptionAllowed", "status": status, "reason": reason, "message": message}]}


def budget(**status: Any) -> Object:
    return {"metadata": {"name": "b", "generation": 1}, "status": {"observedGeneration": 1, **status}}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (
            {"currentHealthy": 1, "desiredHealthy": 1},
            "The disruption budget b needs 1 healthy pods and has 1 currently",
        ),
        ({}, "The disruption budget b needs 0 healthy pods and has 0 currently"),
        ({**condition("SyncFailed", "no scale")}, f"{NOT_NOW} because it failed sync: no scale"),
        (
            {"currentHealthy": 4, "desiredHealthy": 3, **condition("SyncFailed", "no scale")},
            f"{NOT_NOW} because it failed sync: no scale",
        ),
        ({**condition("SyncFailed", "")}, "The disruption budget b needs 0 healthy pods and has 0 currently"),
        ({"currentHealthy": 4, "desiredHealthy": 3, **condition("Held", "by hand")}, f"{NOT_NOW} (Held): by hand"),
        ({"currentHealthy": 4, "desiredHealthy": 3, **condition("Fine", "all is well", "True")}, NOT_NOW),
        ({"currentHealthy": 4, "desiredHealthy": 3}, NOT_NOW),
    ],
)
def test_a_budget_that_is_used_up_says_why(status: Object, why: str) -> None:
    with pytest.raises(StatusError) as caught:
        spending("web", NOW)(budget(**status))
    assert (caught.value.code, caught.value.message) == (429, BLOCKED)
    assert caught.value.details == {"causes": [{"reason": "DisruptionBudget", "message": why}]}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"disruptionsAllowed": -1}, "pdb disruptions allowed is negative"),
        (
            {"disruptionsAllowed": 1, "disruptedPods": {str(i): "" for i in range(MAX_DISRUPTED + 1)}},
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ),
    ],
)
def test_a_budget_that_makes_no_sense_forbids(status: Object, why: str) -> None:
    with pytest.raises(StatusError) as caught:
        spending("web", NOW)(budget(**status))
    assert (caught.value.code, caught.value.message) == (403, f'poddisruptionbudget.policy "b" is forbidden: {why}')


async def evict(api: Cluster, **options: Any) -> Object:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web", "namespace": "default"}}
    return await api.client.create(PODS, {**body, **options}, "default", subresource="eviction", name="web")


async def running(api: Cluster, labels: dict[str, str]) -> Object:
    made = await api.client.create(PODS, build.pod(labels=labels), "default")
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return await api.client.update(PODS, {**made, "status": {**made["status"], **ready}}, subresource="status")


@pytest.mark.parametrize(
    ("selector", "labels", "guarded"),
    [
        ({}, {"app": "web"}, True),
        ({}, {}, True),
        (None, {"app": "web"}, False),
        ({"matchLabels": {"app": "web"}}, {"app": "web"}, True),
        ({"matchLabels": {"app": "web"}}, {"app": "db"}, False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, {}, True),
    ],
)
async def test_an_empty_selector_guards_every_pod_and_none_guards_none(
    api: Cluster, selector: Object | None, labels: dict[str, str], guarded: bool
) -> None:
    await running(api, labels)
    spec = {"minAvailable": 1, **({} if selector is None else {"selector": selector})}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec}
    made = await api.client.create(BUDGETS, body, "default")
    await api.client.update(BUDGETS, {**made, "status": {"observedGeneration": 1}}, subresource="status")
    if guarded:
        with pytest.raises(StatusError) as caught:
            await evict(api)
        assert caught.value.code == 429
    else:
        assert (await evict(api))["status"] == "Success"


@pytest.mark.parametrize(
    ("preconditions", "why"),
    [
        (
            {"uid": "other"},
            "the UID in the precondition (other) does not match the UID in record ({uid}). The object might have been "
            "deleted and then recreated",
        ),
        (
            {"resourceVersion": "1"},
            "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record "
            "({resourceVersion}). The object might have been modified",
        ),
    ],
)
async def test_an_eviction_of_another_pod_is_a_conflict(api: Cluster, preconditions: Object, why: str) -> None:
    pod = await running(api, {})
    with pytest.raises(StatusError) as caught:
        await evict(api, deleteOptions={"preconditions": preconditions})
    wanted = why.format(**pod["metadata"])
    assert (caught.value.code, caught.value.message) == (
        409,
        f'Operation cannot be fulfilled on Pod "web": {wanted}',
    )
