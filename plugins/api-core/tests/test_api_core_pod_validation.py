"""What is refused in a pod, in Kubernetes' words."""

import copy
from typing import Any

import pytest

from kubrick_api_core.pod_defaults import default_pod
from kubrick_api_core.pod_update import validate_pod_update
from kubrick_api_core.pod_validation import validate_pod
from kubrick_api_core.pod_warnings import pod_warnings

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def pod(**spec: Any) -> dict[str, Any]:
    made = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec}}
    default_pod(made)
    return made


def with_container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "web", "image": "nginx", **fields}])


def errors(made: dict[str, Any]) -> list[str]:
    return [str(error) for error in validate_pod(made)]


def test_a_common_pod_is_fine() -> None:
    assert (
        errors(
            pod(
                volumes=[{"name": "data"}],
                containers=[
                    {
                        "name": "web",
                        "image": "nginx:1.27",
                        "ports": [{"name": "http", "containerPort": 80}],
                        "env": [
                            {"name": "A", "value": "b"},
                            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        ],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "example.com/gpu": "1"}},
                        "readinessProbe": {"tcpSocket": {"port": "http"}},
                    }
                ],
                tolerations=[{"operator": "Exists"}],
                nodeSelector={"disk": "ssd"},
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (pod(containers=[]), "spec.containers: Required value"),
        (with_container(image=""), "spec.containers[0].image: Required value"),
        (with_container(name="Web"), f'spec.containers[0].name: Invalid value: "Web": {LABEL}'),
        (
            pod(restartPolicy="Maybe"),
            'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
        ),
        (
            with_container(imagePullPolicy="Sometimes"),
            'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": '
            'supported values: "Always", "IfNotPresent", "Never"',
        ),
        (
            with_container(ports=[{"containerPort": 70000}]),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            with_container(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]),
            'spec.containers[0].ports[1].name: Duplicate value: "a"',
        ),
        (
            with_container(volumeMounts=[{"name": "no", "mountPath": "/x"}]),
            'spec.containers[0].volumeMounts[0].name: Not found: "no"',
        ),
        (
            with_container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}),
            'spec.containers[0].resources.requests: Invalid value: "2": '
            "must be less than or equal to cpu limit of 500m",
        ),
        (
            with_container(livenessProbe={"periodSeconds": 1}),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            with_container(
                env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
            ),
            'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ),
        (pod(volumes=[{"name": "v"}, {"name": "v"}]), 'spec.volumes[1].name: Duplicate value: "v"'),
        (pod(volumes=[{"name": "v", "secret": {}}]), "spec.volumes[0].secret.secretName: Required value"),
        (
            pod(volumes=[{"name": "v", "secret": {"secretName": "s"}, "emptyDir": {}}]),
            "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type",
        ),
        (
            pod(tolerations=[{"key": "a", "operator": "Exists", "value": "b", "effect": "NoSchedule"}]),
            "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
        ),
        (
            pod(
                topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
            ),
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        ),
        (
            pod(
                affinity={
                    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}}]}
                }
            ),
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: "
            "Required value: can not be empty",
        ),
        (
            pod(activeDeadlineSeconds=0),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            with_container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
            'spec.containers[0].securityContext: Invalid value: {"Capabilities":null,"Privileged":true,'
            '"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,'
            '"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,'
            '"AppArmorProfile":null}: '
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ),
    ],
)
def test_a_mistake_is_named_with_its_path_and_what_would_be_right(made: dict[str, Any], wanted: str) -> None:
    assert wanted in errors(made)


def changed(old: dict[str, Any], **spec: Any) -> dict[str, Any]:
    new = copy.deepcopy(old)
    new["spec"].update(spec)
    return new


def update_errors(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    return [str(error) for error in validate_pod_update(new, old)]


def test_an_image_a_shorter_deadline_and_more_tolerations_may_change() -> None:
    old = pod(activeDeadlineSeconds=100)
    new = changed(old, activeDeadlineSeconds=50, tolerations=[{"key": "a", "operator": "Exists"}])
    new["spec"]["containers"][0]["image"] = "nginx:2"
    assert update_errors(new, old) == []


def test_nothing_else_may_change() -> None:
    old = pod()
    (message,) = update_errors(changed(old, hostname="other"), old)
    assert message.startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    )
    assert '\n+ "hostname": "other",\n' in message


def test_containers_are_not_added_or_removed() -> None:
    old = pod()
    new = changed(old, containers=[*old["spec"]["containers"], {**old["spec"]["containers"][0], "name": "b"}])
    assert update_errors(new, old) == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


def test_an_existing_toleration_stays_but_for_its_time() -> None:
    old = pod(tolerations=[{"key": "a", "operator": "Exists", "effect": "NoExecute"}])
    longer = [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]
    assert update_errors(changed(old, tolerations=longer), old) == []
    assert update_errors(changed(old, tolerations=[]), old) == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    ]


def test_a_gated_pod_may_lose_gates_and_gain_selectors_but_no_gates() -> None:
    old = pod(schedulingGates=[{"name": "wait"}])
    assert update_errors(changed(old, schedulingGates=[], nodeSelector={"disk": "ssd"}), old) == []
    assert update_errors(changed(old, schedulingGates=[{"name": "wait"}, {"name": "more"}]), old) == [
        "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'more'"
    ]


@pytest.mark.parametrize(
    ("container", "spec", "wanted"),
    [
        ({}, {}, []),
        (
            {},
            {"nodeSelector": {"beta.kubernetes.io/arch": "amd64"}},
            ['spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead'],
        ),
        (
            {},
            {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["a"]}, {"ip": "1.1.1.1", "hostnames": ["b"]}]},
            ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"'],
        ),
        (
            {},
            {"imagePullSecrets": [{"name": ""}, {"name": "a"}, {"name": "a"}]},
            [
                'spec.imagePullSecrets[2].name: duplicate name "a"',
                'spec.imagePullSecrets[0].name: invalid empty name ""',
            ],
        ),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            {},
            ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (
            {"ports": [{"containerPort": 80}, {"containerPort": 80}]},
            {},
            ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
        ),
        (
            {"resources": {"requests": {"memory": "100m"}}},
            {},
            [
                'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, '
                "must be an integer"
            ],
        ),
        (
            {},
            {"volumes": [{"name": "v", "gitRepo": {"repository": "x"}}, {"name": "w", "glusterfs": {}}]},
            [
                "spec.volumes[0].gitRepo: deprecated in v1.11",
                "spec.volumes[1].glusterfs: deprecated in v1.25, non-functional in v1.26+",
            ],
        ),
        (
            {},
            {"terminationGracePeriodSeconds": -1},
            [
                "spec.terminationGracePeriodSeconds: must be >= 0; "
                "negative values are invalid and will be treated as 1",
            ],
        ),
        (
            {},
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z"}]},
            ["spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"],
        ),
    ],
)
def test_what_is_allowed_but_odd_is_warned_of(
    container: dict[str, Any], spec: dict[str, Any], wanted: list[str]
) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "c", "image": "i", **container}], **spec}}
    assert pod_warnings(pod) == wanted
