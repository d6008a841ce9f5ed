"""Each rule of autoscalers, and that v1 carries whatever v2 says."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api_autoscaling.autoscalers import AutoscalerStrategy
from kubrick_api_autoscaling.conversion import BEHAVIOR, CARRIED, METRICS, to_v1, to_v2

Object = dict[str, Any]
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def scaler(**spec: Any) -> Object:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": TARGET, "minReplicas": 1, "maxReplicas": 5, **spec},
        "status": {},
    }


def said(**spec: Any) -> list[str]:
    return [str(error) for error in AutoscalerStrategy().validate(scaler(**spec))]


def metric(kind: str, source: str, **fields: Any) -> Object:
    return {"metrics": [{"type": kind, source: fields}]}


M = "spec.metrics[0]"
TYPES = '"ContainerResource", "External", "Object", "Pods", "Resource"'
BAD_TYPE = 'Invalid value: "x": must be either Utilization, Value, or AverageValue'


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        (
            {"minReplicas": 0, "scaleTargetRef": {"kind": "a/b"}},
            [
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                "spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'",
                "spec.scaleTargetRef.name: Required value",
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to "
                "zero replicas",
            ],
        ),
        (
            {"metrics": [{}]},
            [
                f"{M}.type: Required value: must specify a metric source type",
                f'{M}.type: Unsupported value: "": supported values: {TYPES}',
                f'{M}.type: Unsupported value: "": supported values: {TYPES}',
            ],
        ),
        (
            {"metrics": [{"type": "Pods", "object": {}, "resource": {}}]},
            [
                f"{M}.object.describedObject.kind: Required value",
                f"{M}.object.describedObject.name: Required value",
                f"{M}.object.metric.name: Required value: must specify a metric name",
                f"{M}.object.target.type: Required value: must specify a metric target type",
                f'{M}.object.target.type: Invalid value: "": must be either Utilization, Value, or AverageValue',
                f"{M}.object.target.averageValue: Required value: must set either a target value or averageValue",
                f"{M}.pods: Required value: must populate information for the given metric source",
                f"{M}.object: Forbidden: must populate the given metric source only",
                f"{M}.resource: Forbidden: must populate the given metric source only",
            ],
        ),
        (
            metric(
                "External", "external", metric={"name": "m"}, target={"type": "x", "value": "0", "averageValue": "-1"}
            ),
            [
                f"{M}.external.target.type: {BAD_TYPE}",
                f'{M}.external.target.value: Invalid value: "0": must be positive',
                f'{M}.external.target.averageValue: Invalid value: "-1": must be positive',
                f"{M}.external.target.value: Forbidden: may not set both a target value for metric and a per-pod "
                "target",
            ],
        ),
        (
            metric("Pods", "pods", metric={"name": "m"}, target={"type": "Value"}),
            [f"{M}.pods.target.averageValue: Required value: must specify a positive target averageValue"],
        ),
        (
            metric(
                "Resource", "resource", target={"type": "Utilization", "averageUtilization": 0, "averageValue": "1"}
            ),
            [
                f"{M}.resource.name: Required value: must specify a resource name",
                f"{M}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
                f"{M}.resource.target.averageValue: Forbidden: may not set both a target raw value and a target "
                "utilization",
            ],
        ),
        (
            metric("ContainerResource", "containerResource", name="x", target={"type": "Utilization"}),
            [
                f'{M}.containerResource.name: Invalid value: "x": must be a standard resource for containers',
                f"{M}.containerResource.container: Required value: must specify a container",
                f"{M}.containerResource.target.averageUtilization: Required value: must set either a target raw value "
                "or a target utilization",
            ],
        ),
        (
            {
                "behavior": {
                    "scaleUp": {"stabilizationWindowSeconds": 3601, "selectPolicy": "x"},
                    "scaleDown": {"policies": [{"type": "x", "periodSeconds": 1801}], "tolerance": "-1"},
                }
            },
            [
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to "
                "3600",
                'spec.behavior.scaleUp.selectPolicy: Unsupported value: "x": supported values: "Disabled", "Max", '
                '"Min"',
                "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy",
                'spec.behavior.scaleDown.policies[0].type: Unsupported value: "x": supported values: "Percent", "Pods"',
                "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to "
                "1800",
                'spec.behavior.scaleDown.tolerance: Invalid value: "-1": must be greater than or equal to 0',
            ],
        ),
    ],
)
def test_an_autoscaler(spec: Object, wrong: list[str]) -> None:
    assert said(**spec) == wrong


def test_who_scaled_to_zero_may_go_on() -> None:
    source = {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}
    old = scaler(minReplicas=0, metrics=[{"type": "External", "external": source}])
    assert AutoscalerStrategy().validate_replacement(copy.deepcopy(old), old) == []
    assert len(AutoscalerStrategy().validate(old)) == 1


def test_a_status_counts_from_zero() -> None:
    obj = {**scaler(), "status": {"desiredReplicas": -1}}
    (error,) = AutoscalerStrategy().validate_status_update(obj, scaler())
    assert error.field == "status.desiredReplicas"


def test_v1_spells_metrics_as_it_always_did() -> None:
    pods = {"metric": {"name": "m", "selector": {}}, "target": {"type": "AverageValue", "averageValue": "1"}}
    old = to_v1(scaler(metrics=[{"type": "Pods", "pods": pods}], behavior={"scaleUp": {"selectPolicy": "Max"}}))
    annotations = old["metadata"]["annotations"]
    assert annotations[METRICS] == '[{"type":"Pods","pods":{"metricName":"m","selector":{},"targetAverageValue":"1"}}]'
    assert annotations[BEHAVIOR] == '{"ScaleUp":{"SelectPolicy":"Max"}}'


amounts = st.sampled_from(["1", "100m", "2Gi"])
targets = st.one_of(
    st.builds(lambda v: {"type": "Value", "value": v}, amounts),
    st.builds(lambda v: {"type": "AverageValue", "averageValue": v}, amounts),
    st.builds(lambda v: {"type": "Utilization", "averageUtilization": v}, st.integers(1, 200)),
    st.builds(lambda v, a: {"type": "AverageValue", "value": v, "averageValue": a}, amounts, amounts),
)
names = st.builds(
    lambda name, selector: {"name": name} if selector is None else {"name": name, "selector": selector},
    st.sampled_from(["rps", "queue"]),
    st.sampled_from([None, {}, {"matchLabels": {"a": "b"}}]),
)


def _metrics(key: str) -> st.SearchStrategy[Object]:
    values = targets if key == "target" else targets.map(lambda t: {n: v for n, v in t.items() if n != "type"})
    return st.one_of(
        st.builds(
            lambda n, t: {"type": "Resource", "resource": {"name": n, key: t}},
            st.sampled_from(["cpu", "memory"]),
            values,
        ),
        st.builds(
            lambda n, t: {"type": "ContainerResource", "containerResource": {"name": n, "container": "c", key: t}},
            st.sampled_from(["cpu", "memory"]),
            values,
        ),
        st.builds(lambda m, t: {"type": "Pods", "pods": {"metric": m, key: t}}, names, values),
        st.builds(lambda m, t: {"type": "External", "external": {"metric": m, key: t}}, names, values),
        st.builds(
            lambda m, t: {"type": "Object", "object": {"describedObject": TARGET, "metric": m, key: t}}, names, values
        ),
    )


@given(
    st.lists(_metrics("target"), max_size=4),
    st.lists(_metrics("current"), max_size=3),
    st.sampled_from([None, {}, {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}}]),
    st.dictionaries(st.sampled_from(["a", "b/c"]), st.text(max_size=3)),
)
def test_v1_loses_nothing(wanted: list[Object], now: list[Object], behavior: Any, annotations: dict[str, str]) -> None:
    new = scaler()
    for key, holder, value in (
        ("metrics", new["spec"], wanted),
        ("behavior", new["spec"], behavior),
        ("currentMetrics", new["status"], now),
        ("annotations", new["metadata"], annotations),
    ):
        if value or (value == {} and key == "behavior"):
            holder[key] = value
    before = copy.deepcopy(new)
    back = to_v2(to_v1(new))
    assert new == before

    def by_text(metrics: list[Object]) -> list[Object]:
        return sorted(metrics, key=repr)

    assert by_text(back["spec"].pop("metrics", [])) == by_text(new["spec"].pop("metrics", []))
    assert back == new


@given(st.dictionaries(st.sampled_from(CARRIED), st.text(max_size=20) | st.sampled_from(["[1]", "{}", "[{}]", "null"])))
def test_nonsense_in_the_annotations_is_dropped(annotations: dict[str, str]) -> None:
    old = {**to_v1(scaler()), "metadata": {"name": "web", "annotations": annotations}}
    assert "annotations" not in to_v2(old)["metadata"]
