"""Deployments, ReplicaSets, StatefulSets and DaemonSets: defaults, refusals, rows, scale."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Strategy
from kubrick_api.storage import Call
from kubrick_api_apps import DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS
from kubrick_api_apps.deployments import DeploymentStrategy
from kubrick_api_apps.replicasets import ControllerRevisionStrategy, ReplicaSetStrategy
from kubrick_api_apps.sets import DaemonSetStrategy, StatefulSetStrategy
from kubrick_testing import build, run_cluster

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL = (DeploymentStrategy(), ReplicaSetStrategy(), StatefulSetStrategy(), DaemonSetStrategy())


def workload(**spec: Any) -> Object:
    labels = {"app": "web"}
    return {
        "metadata": {"name": "web", "namespace": "default", "creationTimestamp": "2026-01-01T11:55:00Z"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}},
            **spec,
        },
    }


def made(strategy: Strategy, /, **spec: Any) -> Object:
    obj = workload(**spec)
    strategy.default(obj)
    return obj


def errors(strategy: Strategy, /, **spec: Any) -> list[str]:
    return [str(error) for error in strategy.validate(made(strategy, **spec))]


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [
        (
            DeploymentStrategy(),
            {
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            },
        ),
        (ReplicaSetStrategy(), {"replicas": 1}),
        (
            StatefulSetStrategy(),
            {
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
        ),
        (
            DaemonSetStrategy(),
            {
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            },
        ),
    ],
)
def test_defaults(strategy: Strategy, wanted: Object) -> None:
    spec = made(strategy)["spec"]
    pods = spec.pop("template")["spec"]
    spec.pop("selector")
    assert spec == wanted
    assert (pods["restartPolicy"], pods["dnsPolicy"]) == ("Always", "ClusterFirst")
    assert pods["containers"][0]["imagePullPolicy"] == "Always"


@pytest.mark.parametrize("strategy", ALL)
def test_a_common_one_is_fine(strategy: Strategy) -> None:
    assert errors(strategy) == []


@pytest.mark.parametrize("strategy", ALL)
def test_the_selector_must_match_the_template(strategy: Strategy) -> None:
    assert errors(strategy, selector={"matchLabels": {"app": "other"}}) == [
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'
    ]


@pytest.mark.parametrize("strategy", [ALL[0], ALL[1], ALL[3]])
def test_the_selector_does_not_change(strategy: Strategy) -> None:
    old = made(strategy)
    new = copy.deepcopy(old)
    new["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    (error,) = strategy.validate_update(new, old)
    assert str(error) == 'spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable'


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"selector": None}, "spec.selector: Required value"),
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
        ),
        (
            {"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
        ),
        (
            {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ),
    ],
)
def test_a_wrong_deployment_is_refused(spec: Object, wanted: str) -> None:
    assert wanted in errors(DeploymentStrategy(), **spec)


def test_pods_of_a_deployment_always_restart() -> None:
    obj = made(DeploymentStrategy())
    obj["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    (error,) = DeploymentStrategy().validate(obj)
    assert str(error) == 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'


def test_only_some_of_a_statefulset_changes() -> None:
    old = made(StatefulSetStrategy())
    grown = copy.deepcopy(old)
    grown["spec"]["replicas"] = 3
    assert StatefulSetStrategy().validate_update(grown, old) == []
    grown["spec"]["serviceName"] = "other"
    (error,) = StatefulSetStrategy().validate_update(grown, old)
    assert error.message.startswith("Forbidden: updates to statefulset spec for fields other than 'replicas'")


def test_a_status_counts_no_more_ready_than_there_are() -> None:
    strategy, obj = DeploymentStrategy(), made(DeploymentStrategy())
    obj["status"] = {"replicas": 1, "readyReplicas": 2}
    (error,) = strategy.validate_status_update(obj, made(strategy))
    assert str(error) == "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"


@pytest.mark.parametrize(
    ("strategy", "status", "cells"),
    [
        (
            DeploymentStrategy(),
            {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2},
            ["2/3", "3", "2", "5m"],
        ),
        (ReplicaSetStrategy(), {"replicas": 3, "readyReplicas": 2}, [3, 3, 2, "5m"]),
        (StatefulSetStrategy(), {"readyReplicas": 2}, ["2/3", "5m"]),
    ],
)
def test_rows(strategy: Strategy, status: Object, cells: list[Any]) -> None:
    row = strategy.row({**made(strategy, replicas=3), "status": status}, NOW)
    assert row[: len(cells) + 3] == ["web", *cells, "web", "nginx"]
    assert row[len(cells) + 3 :] in ([], ["app=web"])


def test_a_controller_revision_names_its_owner() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}
    obj = {"metadata": {"name": "d-1", "ownerReferences": [owner]}, "revision": 2}
    assert ControllerRevisionStrategy().row(obj, NOW)[:3] == ["d-1", "daemonset.apps/d", "2"]


async def test_a_deployment_is_scaled_by_its_scale() -> None:
    async with run_cluster("api") as cluster:
        await cluster.client.create(DEPLOYMENTS, build.deployment(replicas=3), "default")
        scale = await cluster.client.transport.call(Call("get", DEPLOYMENTS, "default", "web", "scale"))
        assert scale["status"]["selector"] == "app=web"
        scale["spec"]["replicas"] = 7
        await cluster.client.update(DEPLOYMENTS, scale, subresource="scale")
        after = await cluster.client.get(DEPLOYMENTS, "web", "default")
        assert (after["spec"]["replicas"], after["metadata"]["generation"]) == (7, 2)
        with pytest.raises(StatusError) as caught:
            await cluster.client.update(DEPLOYMENTS, scale, subresource="scale")
        assert caught.value.code == 409


def stateful(replicas: int) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"apiVersion": "apps/v1", "metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(("resource", "kind"), [(REPLICA_SETS, "ReplicaSet"), (STATEFUL_SETS, "StatefulSet")])
async def test_sets_are_scaled_by_their_scale(resource: GVR, kind: str) -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client
        made = await client.create(resource, {**stateful(3), "kind": kind}, "default")
        scale = await client.transport.call(Call("get", resource, "default", "web", "scale"))
        assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
        assert scale["metadata"]["uid"] == made["metadata"]["uid"]
        assert (scale["spec"], scale["status"]["selector"]) == ({"replicas": 3}, "app=web")
        await client.patch(resource, "web", {"spec": {"replicas": 0}}, "default", subresource="scale")
        after = await client.get(resource, "web", "default")
        assert (after["spec"]["replicas"], after["metadata"]["generation"]) == (0, 2)
        assert after["spec"]["template"] == made["spec"]["template"]
        with pytest.raises(StatusError) as caught:
            await client.patch(resource, "web", {"spec": {"replicas": -1}}, "default", subresource="scale")
        assert caught.value.message == (
            'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
        )
