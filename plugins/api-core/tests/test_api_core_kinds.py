"""ConfigMaps, Secrets, Nodes, Events and the rest: defaults and refusals."""

from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_core.configuration import ConfigMapStrategy, SecretStrategy
from kubrick_api_core.endpoints import EndpointsStrategy
from kubrick_api_core.events import EventStrategy
from kubrick_api_core.nodes import NodeStrategy
from kubrick_api_core.quotas import LimitRangeStrategy
from kubrick_api_core.volumes import PersistentVolumeClaimStrategy, PersistentVolumeStrategy

Object = dict[str, Any]


def obj(**fields: Any) -> Object:
    return {"metadata": {"name": "x", "namespace": "default"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (SecretStrategy(), obj(stringData={"a": "b"}), {"type": "Opaque", "data": {"a": "Yg=="}}),
        (
            NodeStrategy(),
            obj(status={"capacity": {"cpu": "1"}}),
            {"spec": {}, "status": {"capacity": {"cpu": "1"}, "allocatable": {"cpu": "1"}}},
        ),
        (
            LimitRangeStrategy(),
            obj(spec={"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]}),
            {
                "spec": {
                    "limits": [
                        {
                            "type": "Container",
                            "max": {"cpu": "2"},
                            "min": {"memory": "1Mi"},
                            "default": {"cpu": "2"},
                            "defaultRequest": {"cpu": "2", "memory": "1Mi"},
                        }
                    ]
                }
            },
        ),
        (
            PersistentVolumeStrategy(),
            obj(spec={}),
            {
                "spec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
                "status": {"phase": "Pending"},
            },
        ),
        (
            PersistentVolumeClaimStrategy(),
            obj(),
            {"spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending"}},
        ),
        (
            EndpointsStrategy(),
            obj(subsets=[{"ports": [{"port": 1}]}]),
            {"subsets": [{"ports": [{"port": 1, "protocol": "TCP"}]}]},
        ),
    ],
)
def test_defaults(strategy: Strategy, given: Object, wanted: Object) -> None:
    strategy.default(given)
    assert given == {"metadata": {"name": "x", "namespace": "default"}, **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (
            ConfigMapStrategy(),
            obj(data={"a b": "x"}),
            'data[a b]: Invalid value: "a b": a valid config key must consist of',
        ),
        (ConfigMapStrategy(), obj(data={"a": "x" * 1048577}), "Too long: may not be more than 1048576 bytes"),
        (SecretStrategy(), obj(type="kubernetes.io/tls", data={"tls.crt": "eA=="}), "data[tls.key]: Required value"),
        (SecretStrategy(), obj(type="kubernetes.io/basic-auth"), "data[username]: Required value"),
        (
            NodeStrategy(),
            obj(spec={"taints": [{"key": "a", "effect": "Whatever"}]}),
            'metadata.taints[0].effect: Unsupported value: "Whatever"',
        ),
        (
            EventStrategy(),
            obj(involvedObject={"namespace": "other"}),
            'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
        ),
        (
            PersistentVolumeClaimStrategy(),
            obj(spec={}),
            "spec.accessModes: Required value: at least 1 access mode is required",
        ),
        (
            EndpointsStrategy(),
            obj(subsets=[{}]),
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
        ),
    ],
)
def test_mistakes(strategy: Strategy, given: Object, wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize("strategy", [ConfigMapStrategy(), SecretStrategy()])
def test_immutable_content_stays(strategy: Strategy) -> None:
    old = obj(immutable=True, data={"a": "Yg=="})
    assert [str(error) for error in strategy.validate_replacement(obj(data={"a": "Yw=="}), old)] == [
        "immutable: Forbidden: field is immutable when `immutable` is set",
        "data: Forbidden: field is immutable when `immutable` is set",
    ]


def test_a_secrets_type_does_not_change() -> None:
    (error,) = SecretStrategy().validate_replacement(obj(type="b"), obj(type="a"))
    assert str(error) == 'type: Invalid value: "b": field is immutable'


def test_a_claim_is_fixed_but_may_grow_once_bound() -> None:
    def claim(size: str) -> Object:
        spec = {"accessModes": ["ReadWriteOnce"], "volumeName": "v", "resources": {"requests": {"storage": size}}}
        return obj(spec=spec, status={"phase": "Bound", "capacity": {"storage": "1Gi"}})

    strategy = PersistentVolumeClaimStrategy()
    assert strategy.validate_replacement(claim("2Gi"), claim("1Gi")) == []
    (error,) = strategy.validate_replacement(claim("1Mi"), claim("1Gi"))
    assert str(error) == "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    changed = claim("1Gi")
    changed["spec"]["accessModes"] = ["ReadWriteMany"]
    (error,) = strategy.validate_replacement(changed, claim("1Gi"))
    assert error.message.startswith("Forbidden: spec is immutable after creation except resources.requests")
