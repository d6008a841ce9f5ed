"""What Kubernetes adds to a pod that says little."""

import copy
from typing import Any

import pytest

from kubrick_api_core.pod_defaults import default_pod, default_pod_template, pull_policy
from kubrick_api_core.pod_quality import quality_of_service

CONTAINER = {
    "name": "web",
    "image": "nginx",
    "imagePullPolicy": "Always",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
SPEC = {
    "dnsPolicy": "ClusterFirst",
    "enableServiceLinks": True,
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec}}


def test_the_smallest_pod_gets_kubernetes_defaults() -> None:
    made = pod()
    default_pod(made)
    assert made["spec"] == {**SPEC, "containers": [CONTAINER]}


def test_a_template_gets_no_defaults_that_belong_to_pods() -> None:
    limited = {"name": "web", "image": "nginx", "resources": {"limits": {"cpu": "1"}}}
    template: dict[str, Any] = {
        "spec": {"hostNetwork": True, "containers": [{**limited, "ports": [{"containerPort": 80}]}]}
    }
    default_pod_template(template)
    assert "enableServiceLinks" not in template["spec"]
    assert template["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert "hostPort" not in template["spec"]["containers"][0]["ports"][0]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1.27", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "Always"),
    ],
)
def test_only_an_image_that_may_move_is_always_pulled(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            {"livenessProbe": {"httpGet": {"port": 80}}},
            {"timeoutSeconds": 1, "periodSeconds": 10, "failureThreshold": 3},
        ),
        ({"livenessProbe": {"httpGet": {"port": 80}}}, {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}}),
    ],
)
def test_probes_are_completed(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    made = pod(containers=[{"name": "web", "image": "nginx", **given}])
    default_pod(made)
    assert made["spec"]["containers"][0]["livenessProbe"].items() >= wanted.items()


@pytest.mark.parametrize(
    ("volume", "wanted"),
    [
        ({}, {"emptyDir": {}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"configMap": {"name": "c"}}, {"configMap": {"name": "c", "defaultMode": 420}}),
        ({"hostPath": {"path": "/"}}, {"hostPath": {"path": "/", "type": ""}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                }
            },
        ),
        (
            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {
                "downwardAPI": {
                    "defaultMode": 420,
                    "items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}],
                }
            },
        ),
    ],
)
def test_volumes_are_completed(volume: dict[str, Any], wanted: dict[str, Any]) -> None:
    made = pod(volumes=[{"name": "v", **copy.deepcopy(volume)}])
    default_pod(made)
    assert made["spec"]["volumes"] == [{"name": "v", **wanted}]


def test_what_is_limited_and_not_requested_is_requested() -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    made = pod(containers=[{"name": "web", "image": "nginx", "resources": resources}])
    default_pod(made)
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_host_networking_makes_container_ports_host_ports() -> None:
    made = pod(hostNetwork=True, containers=[{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}])
    default_pod(made)
    assert made["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_both_names_of_the_service_account_are_served() -> None:
    made = pod(serviceAccount="robot")
    default_pod(made)
    assert made["spec"]["serviceAccountName"] == made["spec"]["serviceAccount"] == "robot"


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"cpu": "100m"}}], "Burstable"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1Gi"}}], "Guaranteed"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}], "Burstable"),
        ([{"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}}], "BestEffort"),
    ],
)
def test_quality_of_service_follows_from_cpu_and_memory(resources: list[dict[str, Any]], wanted: str) -> None:
    assert quality_of_service({"spec": {"containers": [{"resources": each} for each in resources]}}) == wanted
