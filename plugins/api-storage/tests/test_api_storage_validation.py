"""Each rule of the storage kinds: a valid object, changed, and exactly what is said of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.resource import Strategy
from kubrick_api.storage import UserInfo, WriteContext
from kubrick_api.validation import SUBDOMAIN_RULE
from kubrick_api_storage.classes import StorageClassStrategy, VolumeAttributesClassStrategy
from kubrick_api_storage.drivers import (
    CSIDriverStrategy,
    CSINodeStrategy,
    CSIStorageCapacityStrategy,
    VolumeAttachmentStrategy,
)

Object = dict[str, Any]
CLASS = {"metadata": {"name": "c"}, "provisioner": "acme.io/p"}
DRIVER = {"metadata": {"name": "d"}, "spec": {}}
NODE = {"metadata": {"name": "n"}, "spec": {"drivers": [{"name": "d", "nodeID": "n"}]}}
CAPACITY = {"metadata": {"name": "c"}, "storageClassName": "s"}
ATTACHMENT = {
    "metadata": {"name": "a"},
    "spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
}
ATTRIBUTES = {"metadata": {"name": "a"}, "driverName": "d", "parameters": {"a": "b"}}


def said(strategy: Strategy, valid: Object, patch: Object, *, update: bool = False) -> list[str]:
    obj = json_merge(valid, patch)
    strategy.default(obj)
    old = json_merge(valid, {})
    strategy.default(old)
    return [str(error) for error in (strategy.validate_replacement(obj, old) if update else strategy.validate(obj))]


def topology(key: str, *values: str) -> Object:
    return {"matchLabelExpressions": [{"key": key, "values": list(values)}]}


SOURCE = "spec.source.inlineVolumeSpec"
INLINE: Object = {"csi": {"driver": "d.example", "volumeHandle": "1"}, "accessModes": ["ReadWriteOnce"]}


@pytest.mark.parametrize(
    ("strategy", "valid", "patch", "wrong"),
    [
        (StorageClassStrategy(), CLASS, {}, []),
        (
            StorageClassStrategy(),
            CLASS,
            {"provisioner": None, "reclaimPolicy": "Recycle", "volumeBindingMode": "x"},
            [
                "provisioner: Required value",
                'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
                'volumeBindingMode: Unsupported value: "x": supported values: "Immediate", "WaitForFirstConsumer"',
            ],
        ),
        (
            StorageClassStrategy(),
            CLASS,
            {"parameters": {str(i): "" for i in range(513)}},
            ["parameters: Too long: may not be more than 512 bytes"],
        ),
        (
            StorageClassStrategy(),
            CLASS,
            {"allowedTopologies": [topology("a", "x", "x"), topology("a", "x"), topology("b")]},
            [
                'allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "x"',
                'allowedTopologies[1].matchLabelExpressions: Duplicate value: ""',
                "allowedTopologies[2].matchLabelExpressions[0].values: Required value",
            ],
        ),
        (
            VolumeAttributesClassStrategy(),
            ATTRIBUTES,
            {"driverName": None, "parameters": None},
            [
                "spec.driverName: Required value",
                "spec.parameters: Required value: must contain at least one key/value pair",
            ],
        ),
        (CSIDriverStrategy(), DRIVER, {}, []),
        (
            CSIDriverStrategy(),
            DRIVER,
            {
                "spec": {
                    "fsGroupPolicy": "x",
                    "volumeLifecycleModes": ["x"],
                    "nodeAllocatableUpdatePeriodSeconds": 9,
                    "serviceAccountTokenInSecrets": True,
                }
            },
            [
                'spec.fsGroupPolicy: Unsupported value: "x": supported values: "File", "None", '
                '"ReadWriteOnceWithFSType"',
                'spec.volumeLifecycleModes: Unsupported value: "x": supported values: "Persistent", "Ephemeral"',
                "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 "
                "seconds",
                "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no "
                "tokenRequests are specified",
            ],
        ),
        (
            CSIDriverStrategy(),
            DRIVER,
            {"spec": {"tokenRequests": [{"audience": "a", "expirationSeconds": 599}, {"audience": "a"}]}},
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 "
                "minutes",
                'spec.tokenRequests[1].audience: Duplicate value: "a"',
            ],
        ),
        (
            CSINodeStrategy(),
            NODE,
            {
                "spec": {
                    "drivers": [{"name": "d", "topologyKeys": ["a", "a"], "allocatable": {"count": -1}}, {"name": "d"}]
                }
            },
            [
                "spec.drivers[0].nodeID: Required value",
                "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                'spec.drivers[0]: Duplicate value: "a"',
                "spec.drivers[1].nodeID: Required value",
                'spec.drivers[1].name: Duplicate value: "d"',
            ],
        ),
        (
            CSIStorageCapacityStrategy(),
            CAPACITY,
            {"storageClassName": "S", "capacity": "-1Gi"},
            [
                f'storageClassName: Invalid value: "S": {SUBDOMAIN_RULE}',
                'capacity: Invalid value: "-1Gi": must be greater than or equal to 0',
            ],
        ),
        (
            VolumeAttachmentStrategy(),
            ATTACHMENT,
            {
                "spec": {"attacher": None, "source": {"inlineVolumeSpec": {}}},
                "status": {"attachError": {"errorCode": -1}},
            },
            [
                "spec.attacher: Required value",
                "spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
                "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ],
        ),
        (
            VolumeAttachmentStrategy(),
            ATTACHMENT,
            {"spec": {"source": {"persistentVolumeName": None}}},
            ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
        ),
        (
            VolumeAttachmentStrategy(),
            ATTACHMENT,
            {"spec": {"source": {"persistentVolumeName": None, "inlineVolumeSpec": INLINE}}},
            [],
        ),
        (
            VolumeAttachmentStrategy(),
            ATTACHMENT,
            {
                "spec": {
                    "source": {
                        "persistentVolumeName": None,
                        "inlineVolumeSpec": {
                            "claimRef": {"name": "c"},
                            "capacity": {"storage": "1"},
                            "persistentVolumeReclaimPolicy": "Delete",
                            "nodeAffinity": {},
                            "hostPath": {"path": "/x/.."},
                            "storageClassName": "s",
                            "volumeMode": "Block",
                        },
                    }
                }
            },
            [
                f"{SOURCE}.claimRef: Forbidden: may not be specified in the context of inline volumes",
                f"{SOURCE}.capacity: Forbidden: may not be specified in the context of inline volumes",
                f"{SOURCE}.csi: Required value: has to be specified in the context of inline volumes",
                f"{SOURCE}.accessModes: Required value",
                f"{SOURCE}.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline "
                "volumes",
                f"{SOURCE}.nodeAffinity: Forbidden: may not be specified in the context of inline volumes",
                f"{SOURCE}.hostPath.path: Invalid value: \"/x/..\": must not contain '..'",
                f"{SOURCE}.storageClassName: Forbidden: may not be specified in the context of inline volumes",
                f"{SOURCE}.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of "
                "inline volumes",
            ],
        ),
    ],
)
def test_new(strategy: Strategy, valid: Object, patch: Object, wrong: list[str]) -> None:
    assert said(strategy, valid, patch) == wrong


@pytest.mark.parametrize(
    ("strategy", "valid", "patch", "wrong"),
    [
        (
            StorageClassStrategy(),
            CLASS,
            {"provisioner": "other", "reclaimPolicy": "Retain", "allowVolumeExpansion": True},
            [
                'provisioner: Invalid value: "other": field is immutable',
                'reclaimPolicy: Invalid value: "Retain": field is immutable',
            ],
        ),
        (
            VolumeAttributesClassStrategy(),
            ATTRIBUTES,
            {"driverName": "e", "parameters": {"a": "c"}},
            [
                "driverName: Forbidden: updates to driverName are forbidden.",
                "parameters: Forbidden: updates to parameters are forbidden.",
            ],
        ),
        (
            CSIDriverStrategy(),
            DRIVER,
            {"spec": {"attachRequired": False, "podInfoOnMount": True}},
            ["spec.attachedRequired: Invalid value: false: field is immutable"],
        ),
        (
            CSINodeStrategy(),
            NODE,
            {"spec": {"drivers": [{"name": "d", "nodeID": "n", "allocatable": {"count": 5}}]}},
            [],
        ),
        (
            CSINodeStrategy(),
            NODE,
            {"spec": {"drivers": [{"name": "d", "nodeID": "m"}]}},
            ['spec.drivers: Invalid value: {"name":"d","nodeID":"m"}: field is immutable'],
        ),
        (
            CSIStorageCapacityStrategy(),
            CAPACITY,
            {"storageClassName": "t", "capacity": "1"},
            ['storageClassName: Invalid value: "t": field is immutable'],
        ),
    ],
)
def test_changed(strategy: Strategy, valid: Object, patch: Object, wrong: list[str]) -> None:
    assert said(strategy, valid, patch, update=True) == wrong


CONTEXT = WriteContext(UserInfo("u"), datetime(2026, 1, 1, tzinfo=UTC), None, None)  # type: ignore[arg-type]


def test_a_driver_has_a_generation() -> None:
    strategy, new = CSIDriverStrategy(), json_merge(DRIVER, {"metadata": {"generation": 7}})
    strategy.prepare_for_create(new, CONTEXT)
    assert new["metadata"]["generation"] == 1
    changed = json_merge(new, {"spec": {"requiresRepublish": True}})
    strategy.prepare_for_update(changed, new, CONTEXT)
    assert changed["metadata"]["generation"] == 2
    same = json_merge(changed, {"metadata": {"labels": {"a": "b"}, "generation": 9}})
    strategy.prepare_for_update(same, changed, CONTEXT)
    assert same["metadata"]["generation"] == 2


def test_a_capacity_keeps_values_that_no_label_has() -> None:
    odd = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}
    strategy, old = CSIStorageCapacityStrategy(), {**CAPACITY, "nodeTopology": odd}
    assert [error.field for error in strategy.validate(old)] == ["nodeTopology.matchExpressions[0].values[0]"]
    assert strategy.validate_replacement({**old, "capacity": "1"}, old) == []
    (error,) = strategy.validate_replacement({**old, "capacity": "-1"}, old)
    assert str(error) == 'capacity: Invalid value: "-1": must be greater than or equal to 0'
