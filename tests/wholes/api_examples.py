"""One small valid object of every kind that can be posted, and objects with every field their schema knows."""

import base64
from copy import deepcopy
from typing import Any

from kubrick_api.resource import Resource
from kubrick_api.schema import Schemas, Type

Object = dict[str, Any]
DEPTH = 12
"""Some types contain themselves."""

LABELS = {"app": "web"}
SELECTOR = {"matchLabels": LABELS}
POD = {"containers": [{"name": "web", "image": "nginx"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD}
ONCE = {"template": {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Never"}}}
MAY = {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}
TARGET = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3}
RBAC = "rbac.authorization.k8s.io"
NOW = "2026-01-01T00:00:00.000000Z"
WEBHOOK = {
    "name": "a.example.com",
    "clientConfig": {"url": "https://example.com/"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
RULES = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]}
REQUEST_LINES = (
    "-----BEGIN CERTIFICATE REQUEST-----",
    "MIHKMHECAQAwDzENMAsGA1UEAwwEamFuZTBZMBMGByqGSM49AgEGCCqGSM49AwEH",
    "A0IABI1D0EkisjlAn447dDj0EmFVEdUeUWQZG2pOF4M5+0iIygN8lRQnS6h2pOlE",
    "U37mbLeRdpQm3kmyiY0zPBiFagugADAKBggqhkjOPQQDAgNJADBGAiEA5GBSxfKv",
    "yaHe1yExPzkxYTK1rWmZoAkIjgIv8F57w64CIQDYreyOG59VzaebveK1osgwyBH2",
    "1wECFPMT731gP/37fw==",
    "-----END CERTIFICATE REQUEST-----",
)
REQUEST = base64.b64encode("\n".join((*REQUEST_LINES, "")).encode()).decode()
CUSTOM = {
    "group": "example.com",
    "scope": "Namespaced",
    "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
    "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
}

NAMES = {
    "APIService": "v1.example.com",
    "CustomResourceDefinition": "widgets.example.com",
    "IPAddress": "192.0.2.1",
}
EXAMPLES: dict[str, Object] = {
    "Binding": {"target": {"kind": "Node", "name": "node-1"}},
    "ConfigMap": {"data": {"a": "1"}, "binaryData": {"b": "MQ=="}},
    "Endpoints": {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    "LimitRange": {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}},
    "Namespace": {},
    "Node": {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
    "PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "PersistentVolume": {
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}
    },
    "Pod": {"spec": POD},
    "PodTemplate": {"template": TEMPLATE},
    "ReplicationController": {"spec": {"selector": LABELS, "template": TEMPLATE}},
    "ResourceQuota": {"spec": {"hard": {"pods": "10"}}},
    "Secret": {"data": {"a": "MQ=="}},
    "ServiceAccount": {},
    "Service": {"spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    "APIService": {
        "spec": {
            "group": "example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "service": {"namespace": "default", "name": "web", "port": 443},
            "insecureSkipTLSVerify": True,
        }
    },
    "ControllerRevision": {"revision": 1, "data": {"a": 1}},
    "DaemonSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "Deployment": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "ReplicaSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "StatefulSet": {"spec": {"serviceName": "web", "selector": SELECTOR, "template": TEMPLATE}},
    "SelfSubjectReview": {},
    "TokenReview": {"spec": {"token": "unknown"}},
    "LocalSubjectAccessReview": {"spec": {"user": "jane", **MAY}},
    "SelfSubjectAccessReview": {"spec": MAY},
    "SelfSubjectRulesReview": {"spec": {"namespace": "default"}},
    "SubjectAccessReview": {"spec": {"user": "jane", **MAY}},
    "HorizontalPodAutoscaler": {"spec": TARGET},
    "CronJob": {"spec": {"schedule": "0 * * * *", "jobTemplate": {"spec": ONCE}}},
    "Job": {"spec": ONCE},
    "CertificateSigningRequest": {
        "spec": {"request": REQUEST, "signerName": "example.com/any", "usages": ["client auth"]}
    },
    "Ingress": {"spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}},
    "IngressClass": {"spec": {"controller": "example.com/ingress"}},
    "NetworkPolicy": {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}},
    "IPAddress": {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}}},
    "ServiceCIDR": {"spec": {"cidrs": ["192.0.2.0/24"]}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": SELECTOR}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "ClusterRole": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "RoleBinding": {"roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "a"}},
    "ClusterRoleBinding": {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "a"}},
    "CSIDriver": {"spec": {}},
    "CSINode": {"spec": {"drivers": []}},
    "CSIStorageCapacity": {"storageClassName": "fast", "capacity": "1Gi"},
    "StorageClass": {"provisioner": "example.com/disk"},
    "VolumeAttachment": {
        "spec": {"attacher": "example.com", "nodeName": "node-1", "source": {"persistentVolumeName": "disk"}}
    },
    "VolumeAttributesClass": {"driverName": "example.com", "parameters": {"iops": "100"}},
    "MutatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "ValidatingWebhookConfiguration": {"webhooks": [WEBHOOK]},
    "ValidatingAdmissionPolicy": {"spec": {"matchConstraints": RULES, "validations": [{"expression": "true"}]}},
    "ValidatingAdmissionPolicyBinding": {"spec": {"policyName": "a", "validationActions": ["Deny"]}},
    "MutatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": RULES,
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'test'}]"}}],
        }
    },
    "MutatingAdmissionPolicyBinding": {"spec": {"policyName": "a"}},
    "CustomResourceDefinition": {"spec": CUSTOM},
    "PriorityClass": {"value": 1000},
    "Lease": {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 10}},
    "RuntimeClass": {"handler": "runc"},
    "EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
    "DeviceClass": {"spec": {}},
    "ResourceClaim": {
        "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "example.com"}}]}}
    },
    "ResourceClaimTemplate": {
        "spec": {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "example.com"}}]}}}
    },
    "ResourceSlice": {
        "spec": {
            "driver": "example.com",
            "nodeName": "node-1",
            "pool": {"name": "node-1", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "gpu-0"}],
        }
    },
    "FlowSchema": {"spec": {"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 500}},
    "PriorityLevelConfiguration": {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
}
EVENTS: dict[str, Object] = {
    "": {"involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"}, "reason": "Started"},
    "events.k8s.io": {
        "eventTime": NOW,
        "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
        "action": "Start",
        "reason": "Started",
        "type": "Normal",
        "reportingController": "example.com/tester",
        "reportingInstance": "tester-1",
    },
}


def example(resource: Resource, name: str) -> Object:
    """A small valid object; kinds whose name means something keep theirs."""
    kind = resource.kind
    body = EVENTS[kind.group] if kind.kind == "Event" else EXAMPLES[kind.kind]
    metadata = {} if kind.kind.endswith("AccessReview") else {"name": NAMES.get(kind.kind, name)}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **deepcopy(body)}


def everything(resource: Resource, schemas: Schemas, name: str) -> Object:
    """An object with every field, of the right type and of no particular sense."""
    kind = resource.kind
    obj = _filled(schemas[resource.schema], schemas, 0)
    metadata = {"name": name, "labels": dict(LABELS), "annotations": {"a": "b"}, "finalizers": ["example.com/hold"]}
    return {**obj, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


SCALARS = {
    "Quantity": "1",
    "IntOrString": 1,
    "Time": "2026-01-01T00:00:00Z",
    "MicroTime": NOW,
    "RawExtension": {"a": 1},
    "FieldsV1": {},
}
PLAIN: dict[str, Any] = {"string": "a", "boolean": True, "number": 1.5, "double": 1.5, "byte": "MQ=="}


def _filled(kind: Type, schemas: Schemas, depth: int) -> Any:
    if not kind.fields:
        return deepcopy(SCALARS.get(kind.short, {}))
    if depth > DEPTH:
        return {}
    return {name: _value(spec, schemas, depth + 1) for name, spec in kind.fields.items()}


def _value(spec: Any, schemas: Schemas, depth: int) -> Any:
    if "list" in spec:
        return [_value(spec["list"], schemas, depth + 1)]
    if "map" in spec:
        return {"a": _value(spec["map"], schemas, depth + 1)}
    if "ref" in spec:
        return _filled(schemas[spec["ref"]], schemas, depth)
    return PLAIN.get(spec.get("format") or spec["type"], 1)
