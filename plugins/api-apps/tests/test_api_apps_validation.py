"""Each rule of the workloads: a valid object, changed, and exactly what is said of it."""

import copy
import json
from typing import Any

import pytest

from kubrick_api.formats import PERCENT_RULE
from kubrick_api.merge import json_merge
from kubrick_api.resource import Strategy
from kubrick_api.validation import LABEL_RULE, SUBDOMAIN_RULE
from kubrick_api_apps.deployments import DeploymentStrategy
from kubrick_api_apps.replicasets import ControllerRevisionStrategy, ReplicaSetStrategy
from kubrick_api_apps.sets import DaemonSetStrategy, StatefulSetStrategy
from kubrick_api_apps.workloads import shown_selector, sorted_map

Object = dict[str, Any]
LABELS = {"app": "web"}
POD = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
VALID = {"metadata": {"name": "w"}, "spec": {"selector": {"matchLabels": LABELS}, "template": POD}}


def made(strategy: Strategy, spec: Object) -> Object:
    obj = json_merge(copy.deepcopy(VALID), {"spec": spec})
    strategy.default(obj)
    return obj


def said(strategy: Strategy, spec: Object) -> list[str]:
    return [str(error) for error in strategy.validate(made(strategy, spec))]


T, U = "spec.template", "spec.updateStrategy"
NO_MATCH = "`selector` does not match template `labels`"


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        (
            {"replicas": -1, "selector": None},
            [
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.selector: Required value",
                f'{T}.metadata.labels: Invalid value: {{"app":"web"}}: {NO_MATCH}',
            ],
        ),
        (
            {"selector": {"matchLabels": None}},
            ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
        ),
        (
            {"template": {"metadata": {"labels": None}}},
            [f"{T}.metadata.labels: Invalid value: null: {NO_MATCH}"],
        ),
        (
            {"strategy": {"type": "x"}, "minReadySeconds": -1, "revisionHistoryLimit": -1},
            [
                'spec.strategy: Unsupported value: {"Type":"x","RollingUpdate":null}: supported values: "Recreate", '
                '"RollingUpdate"',
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": "x", "maxUnavailable": -1}}},
            [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
                f'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": {PERCENT_RULE}',
            ],
        ),
        (
            {"template": {"spec": {"restartPolicy": "Never", "activeDeadlineSeconds": 5}}},
            [
                f'{T}.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
                f"{T}.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
            ],
        ),
    ],
)
def test_a_deployment(spec: Object, wrong: list[str]) -> None:
    assert said(DeploymentStrategy(), spec) == wrong


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        (
            {"selector": None},
            [f'{T}.metadata.labels: Invalid value: {{"app":"web"}}: {NO_MATCH}'],
        ),
        (
            {"updateStrategy": {"type": "x"}, "minReadySeconds": -1, "revisionHistoryLimit": -1},
            [
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                f'{U}: Unsupported value: {{"Type":"x","RollingUpdate":null}}: supported values: "RollingUpdate", '
                '"OnDelete"',
                "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "101%", "maxSurge": 1}}},
            [
                f'{U}.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
                f"{U}.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
            ],
        ),
        (
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
            [f"{U}.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
        ),
    ],
)
def test_a_daemon_set(spec: Object, wrong: list[str]) -> None:
    assert said(DaemonSetStrategy(), spec) == wrong


STORAGE = {"requests": {"storage": "1Gi"}}
CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": STORAGE}}
BAD_CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["x"], "storageClassName": "S"}}
MOUNTED = {"spec": {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]}}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        ({"volumeClaimTemplates": [CLAIM], "template": MOUNTED}, []),
        (
            {"volumeClaimTemplates": [CLAIM, BAD_CLAIM], "template": MOUNTED},
            [
                'spec.volumeClaimTemplates[1].spec.accessModes: Unsupported value: "x": supported values: '
                '"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
                "spec.volumeClaimTemplates[1].spec.resources[storage]: Required value",
                f'spec.volumeClaimTemplates[1].spec.storageClassName: Invalid value: "S": {SUBDOMAIN_RULE}',
            ],
        ),
        ({"template": MOUNTED}, [f'{T}.spec.containers[0].volumeMounts[0].name: Not found: "data"']),
        (
            {
                "podManagementPolicy": "x",
                "updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}},
                "persistentVolumeClaimRetentionPolicy": {"whenScaled": "x"},
                "ordinals": {"start": -1},
                "serviceName": "S",
            },
            [
                "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'",
                f'{U}.rollingUpdate: Invalid value: {{"Partition":1}}: only allowed for updateStrategy '
                "'RollingUpdate'",
                'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "x": supported values: '
                '"Retain", "Delete"',
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
                f'spec.serviceName: Invalid value: "S": {LABEL_RULE}',
            ],
        ),
        (
            {"updateStrategy": {"type": "x"}},
            [f'{U}: Invalid value: {{"Type":"x","RollingUpdate":null}}: must be \'RollingUpdate\' or \'OnDelete\''],
        ),
        (
            {"updateStrategy": {"rollingUpdate": {"partition": -1, "maxUnavailable": "0%"}}},
            [
                f"{U}.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
                f'{U}.rollingUpdate.maxUnavailable: Invalid value: "0%": cannot be 0',
            ],
        ),
    ],
)
def test_a_stateful_set(spec: Object, wrong: list[str]) -> None:
    assert said(StatefulSetStrategy(), spec) == wrong


def test_a_stateful_set_may_keep_a_template_that_was_wrong() -> None:
    strategy = StatefulSetStrategy()
    old = made(strategy, {"template": MOUNTED})
    new = json_merge(old, {"spec": {"replicas": 3}})
    assert strategy.validate_replacement(new, old) == []
    assert len(strategy.validate(new)) == 1


@pytest.mark.parametrize("name", ["replicas", "ordinals", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"])
def test_a_stateful_set_changes_in_these_fields(name: str) -> None:
    strategy, old = StatefulSetStrategy(), made(StatefulSetStrategy(), {})
    value: Any = {"ordinals": {"start": 2}, "updateStrategy": {"type": "OnDelete"}}.get(name, 5)
    new = copy.deepcopy(old)
    new["spec"][name] = value
    assert strategy.validate_replacement(new, old) == []


@pytest.mark.parametrize(
    ("strategy", "status", "old", "wrong"),
    [
        (
            DeploymentStrategy(),
            {"replicas": 1, "availableReplicas": 2},
            {"collisionCount": 1},
            [
                "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
                "status.collisionCount: Invalid value: 0: cannot be decremented",
            ],
        ),
        (
            ReplicaSetStrategy(),
            {"replicas": -1, "fullyLabeledReplicas": 0},
            {},
            ["status.replicas: Invalid value: -1: must be greater than or equal to 0"]
            + [
                f"status.{name}: Invalid value: 0: cannot be greater than status.replicas"
                for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
            ],
        ),
        (
            StatefulSetStrategy(),
            {"replicas": 1, "currentReplicas": 2, "availableReplicas": 1, "collisionCount": 1},
            {"collisionCount": 2},
            [
                "status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas",
                "status.collisionCount: Invalid value: 1: cannot be decremented",
            ],
        ),
        (
            DaemonSetStrategy(),
            {"numberReady": -1, "observedGeneration": -1},
            {},
            [
                "status.numberReady: Invalid value: -1: must be greater than or equal to 0",
                "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
    ],
)
def test_a_status(strategy: Strategy, status: Object, old: Object, wrong: list[str]) -> None:
    errors = strategy.validate_status_update({**VALID, "status": status}, {**VALID, "status": old})
    assert [str(error) for error in errors] == wrong


def test_a_revision_keeps_its_data() -> None:
    strategy, old = ControllerRevisionStrategy(), {"metadata": {"name": "r"}, "data": {"a": 1}, "revision": 1}
    assert [str(e) for e in strategy.validate({"metadata": {"name": "r"}, "revision": -1})] == [
        "data: Required value: data is mandatory",
        "revision: Invalid value: -1: must be greater than or equal to 0",
    ]
    (error,) = strategy.validate_replacement({**old, "data": {"a": True}}, old)
    assert error.field == "data"


@pytest.mark.parametrize(
    "strategy", [DeploymentStrategy(), ReplicaSetStrategy(), StatefulSetStrategy(), DaemonSetStrategy()]
)
def test_a_template_is_warned_of_when_it_is_new_or_changed(strategy: Strategy) -> None:
    old: Object = {
        "metadata": {"name": "w"},
        "spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "x"}}}},
    }
    new = json_merge(old, {"spec": {"template": {"spec": {"nodeSelector": {"beta.kubernetes.io/os": "x"}}}}})
    why = (
        'spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    )
    assert strategy.warnings(new, None) == strategy.warnings(new, old) == [why]
    assert strategy.warnings(new, new) == strategy.warnings(old, None) == []


def test_a_stateful_set_is_warned_of_its_claims() -> None:
    fractional = {"spec": {"resources": {"requests": {"storage": "1m"}}}}
    obj: Object = {"spec": {"volumeClaimTemplates": [fractional], "revisionHistoryLimit": -1}}
    assert StatefulSetStrategy().warnings(obj, None) == [
        'spec.volumeClaimTemplates[0].spec.resources.requests[storage]: fractional byte value "1m" is invalid, must be '
        "an integer",
        "spec.revisionHistoryLimit: a negative value retains all historical revisions",
    ]


def test_selectors_and_labels_are_shown_in_their_order() -> None:
    expression = {"values": ["x"], "operator": "In", "key": "b"}
    selector = {"matchExpressions": [expression], "matchLabels": {"z": "1", "a": "2"}}
    assert json.dumps(shown_selector(selector)) == (
        '{"matchLabels": {"a": "2", "z": "1"}, "matchExpressions": [{"key": "b", "operator": "In", "values": ["x"]}]}'
    )
    assert shown_selector(None) is None
    assert shown_selector({}) == {}
    assert json.dumps(sorted_map({"b": "", "a": ""})) == '{"a": "", "b": ""}'
