"""One HorizontalPodAutoscaler in two versions."""

from datetime import UTC, datetime
from typing import Any

from kubrick_api_autoscaling import HORIZONTAL_POD_AUTOSCALERS, HORIZONTAL_POD_AUTOSCALERS_V1
from kubrick_api_autoscaling.autoscalers import AutoscalerStrategy
from kubrick_api_autoscaling.conversion import to_v1, to_v2
from kubrick_testing import run_cluster

Object = dict[str, Any]
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}


def scaler(**spec: Any) -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, **spec},
        "status": {},
    }


def test_v1_shows_cpu_as_a_field_and_carries_the_rest() -> None:
    new = scaler(metrics=[CPU, MEMORY], behavior={"scaleUp": {"selectPolicy": "Max"}})
    old = to_v1(new)
    assert old["spec"]["targetCPUUtilizationPercentage"] == 50
    assert set(old["metadata"]["annotations"]) == {
        "autoscaling.alpha.kubernetes.io/metrics",
        "autoscaling.alpha.kubernetes.io/behavior",
    }
    assert to_v2(old) == new


def test_refusals_and_the_row() -> None:
    strategy = AutoscalerStrategy()
    assert [str(error) for error in strategy.validate(scaler(maxReplicas=0))] == [
        "spec.maxReplicas: Invalid value: 0: must be greater than 0",
        "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
    ]
    row = strategy.row(scaler(metrics=[CPU]), datetime(2026, 1, 1, tzinfo=UTC))
    assert row[:6] == ["web", "Deployment/web", "cpu: <unknown>/50%", "1", "5", "0"]


async def test_an_autoscaler_written_as_v1_is_read_as_v2() -> None:
    async with run_cluster("api") as cluster:
        body = {**scaler(targetCPUUtilizationPercentage=70), "apiVersion": "autoscaling/v1"}
        await cluster.client.create(HORIZONTAL_POD_AUTOSCALERS_V1, body, "default")
        new = await cluster.client.get(HORIZONTAL_POD_AUTOSCALERS, "web", "default")
        assert new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
