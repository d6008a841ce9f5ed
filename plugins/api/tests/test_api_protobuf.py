"""Kubernetes' protobuf: what clients send, and there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.catalog import Catalog
from kubrick_api.groups import load_groups
from kubrick_api.protobuf import MAGIC, Protobuf
from kubrick_api.wire import MalformedProtobuf, varint, wire_fields

PACKAGES = [
    f"kubrick_api_{group}"
    for group in ("core", "apps", "admissionregistration", "apiextensions", "authorization", "policy")
]


@pytest.fixture(scope="module")
def protobuf():
    return Protobuf(Catalog(group for package in PACKAGES for group in load_groups(package)))


POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "web",
        "labels": {"app": "web", "tier": "front"},
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "w", "uid": "u", "controller": True}
        ],
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "volumes": [
            {"name": "v", "configMap": {"name": "settings", "defaultMode": 420}},
            {"name": "e", "emptyDir": {}},
        ],
        "containers": [
            {
                "name": "web",
                "image": "nginx",
                "ports": [{"containerPort": 80}],
                "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                "readinessProbe": {"tcpSocket": {"port": 8080}},
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            }
        ],
        "ephemeralContainers": [{"name": "debug", "image": "busybox", "targetContainerName": "web"}],
        "tolerations": [{"operator": "Exists", "tolerationSeconds": -5}],
        "nodeSelector": {"a": "b"},
    },
}
WEBHOOKS = {
    "kind": "ValidatingWebhookConfiguration",
    "apiVersion": "admissionregistration.k8s.io/v1",
    "metadata": {"name": "w"},
    "webhooks": [
        {
            "name": "a.example.com",
            "clientConfig": {"caBundle": "AAEC", "url": "https://x"},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        }
    ],
}
CRD = {
    "kind": "CustomResourceDefinition",
    "apiVersion": "apiextensions.k8s.io/v1",
    "metadata": {"name": "a.b"},
    "spec": {
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "n": {"type": "number", "minimum": 0.5, "default": 1},
                            "list": {"type": "array", "items": {"type": "string"}},
                            "free": {"type": "object", "additionalProperties": True},
                        },
                    }
                },
            }
        ]
    },
}
REVIEW = {
    "kind": "SubjectAccessReview",
    "apiVersion": "authorization.k8s.io/v1",
    "spec": {"user": "bob", "extra": {"scopes": ["a", "b"]}, "resourceAttributes": {"verb": "get"}},
}
BUDGET = {
    "kind": "PodDisruptionBudget",
    "apiVersion": "policy/v1",
    "metadata": {"name": "b"},
    "spec": {"minAvailable": "50%"},
}


@pytest.mark.parametrize("obj", [POD, WEBHOOKS, CRD, REVIEW, BUDGET], ids=lambda obj: obj["kind"])
def test_objects_come_back_as_they_went(protobuf, obj):
    assert protobuf.decode(protobuf.encode(obj)) == obj


def test_a_clients_bytes_are_read_with_the_zero_time_as_unset(protobuf):
    name = b"\x0a\x03web" + b"\x42\x00"  # name, creationTimestamp: the zero time
    raw = b"\x0a" + varint(len(name)) + name
    meta = b"\x0a\x02v1\x12\x03Pod"
    data = MAGIC + b"\x0a" + varint(len(meta)) + meta + b"\x12" + varint(len(raw)) + raw
    decoded = protobuf.decode(data)
    assert decoded["metadata"] == {"name": "web", "creationTimestamp": None}
    assert (decoded["kind"], decoded["apiVersion"]) == ("Pod", "v1")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{}", "does not begin with the prefix"),
        (MAGIC + b"\x0a\x0c\x0a\x02v1\x12\x06Nobody", 'no kind "Nobody"'),
        (MAGIC + b"\x0a\x7f", "cut off"),
        (MAGIC + b"\x0f", "unknown wire type"),
        (MAGIC + b"\xff", "does not end"),
    ],
)
def test_bytes_that_are_no_message_are_refused_with_the_reason(protobuf, data, what):
    with pytest.raises(MalformedProtobuf, match=what):
        protobuf.decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(protobuf, data):
    try:
        protobuf.decode(MAGIC + b"\x0a\x09\x0a\x02v1\x12\x03Pod\x12" + varint(len(data)) + data)
    except MalformedProtobuf:
        pass


@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_come_back(value):
    ((_, _, read),) = wire_fields(b"\x08" + varint(value))
    assert (read - (1 << 64) if read >= 1 << 63 else read) == value
