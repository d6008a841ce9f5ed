"""metadata.generation of every kind: which kinds count, from what, and what they count.

The table is what each strategy under Kubernetes' pkg/registry (and those of apiextensions and kube-aggregator) does.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Resource
from kubrick_api.storage import Call, UserInfo
from kubrick_client import Connector
from kubrick_testing import Cluster, run_cluster

sys.path.insert(0, str(Path(__file__).parent))
from api_examples import RULES, WEBHOOK, Object, example
from test_api_mutations import ACCOUNTS, call, post, postable

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
LABELLED = {"metadata": {"labels": {"seen": "yes"}}}
ANNOTATED = {"metadata": {"annotations": {"seen": "yes"}}}
IMAGE = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}

COUNTED: dict[str, Object] = {
    "CronJob": {"spec": {"schedule": "1 * * * *"}},
    "CSIDriver": {"spec": {"requiresRepublish": True}},
    "CustomResourceDefinition": {"spec": {"names": {"shortNames": ["wg"]}}},
    "DaemonSet": IMAGE,
    "Deployment": IMAGE,
    "DeviceClass": {"spec": {"extendedResourceName": "example.com/gpu"}},
    "EndpointSlice": {"endpoints": []},
    "FlowSchema": {"spec": {"matchingPrecedence": 600}},
    "Ingress": {"spec": {"ingressClassName": "other"}},
    "IngressClass": {"spec": {"parameters": {"kind": "Any", "name": "a"}}},
    "Job": {"spec": {"parallelism": 3}},
    "MutatingAdmissionPolicy": {"spec": {"reinvocationPolicy": "IfNeeded"}},
    "MutatingAdmissionPolicyBinding": {"spec": {"matchResources": RULES}},
    "MutatingWebhookConfiguration": {"webhooks": [{**WEBHOOK, "timeoutSeconds": 3}]},
    "NetworkPolicy": {"spec": {"policyTypes": ["Ingress", "Egress"]}},
    "Pod": {"spec": {"activeDeadlineSeconds": 1000}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 2}},
    "PodTemplate": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}},
    "PriorityLevelConfiguration": {"spec": {"limited": {"nominalConcurrencyShares": 7}}},
    "ReplicaSet": IMAGE,
    "ReplicationController": IMAGE,
    "ResourceSlice": {"spec": {"devices": []}},
    "StatefulSet": IMAGE,
    "ValidatingAdmissionPolicy": {"spec": {"failurePolicy": "Ignore"}},
    "ValidatingAdmissionPolicyBinding": {"spec": {"validationActions": ["Warn"]}},
    "ValidatingWebhookConfiguration": {"webhooks": [{**WEBHOOK, "timeoutSeconds": 3}]},
}
"""Kinds that begin at 1, and a change that counts."""
ONE_FOR_EVER: dict[str, Object] = {"PriorityClass": {"description": "changed"}}
"""Kinds that begin at 1 and stay there, whatever changes."""
UNCOUNTED: dict[str, Object] = {
    "APIService": {"spec": {"groupPriorityMinimum": 200}},
    "CertificateSigningRequest": {},
    "ClusterRole": {"rules": []},
    "ClusterRoleBinding": {"subjects": [{"kind": "User", "name": "jane"}]},
    "ConfigMap": {"data": {"a": "2"}},
    "ControllerRevision": {"revision": 2},
    "CSINode": {"spec": {"drivers": [{"name": "example.com", "nodeID": "a"}]}},
    "CSIStorageCapacity": {"capacity": "2Gi"},
    "Endpoints": {"subsets": []},
    "Event": {},
    "HorizontalPodAutoscaler": {"spec": {"maxReplicas": 4}},
    "IPAddress": {},
    "Lease": {"spec": {"leaseDurationSeconds": 20}},
    "LimitRange": {"spec": {"limits": []}},
    "Namespace": {},
    "Node": {"spec": {"unschedulable": True}},
    "PersistentVolume": {"spec": {"capacity": {"storage": "2Gi"}}},
    "PersistentVolumeClaim": {},
    "ResourceClaim": {},
    "ResourceClaimTemplate": {},
    "ResourceQuota": {"spec": {"hard": {"pods": "11"}}},
    "Role": {"rules": []},
    "RoleBinding": {"subjects": [{"kind": "User", "name": "jane"}]},
    "RuntimeClass": {"overhead": {"podFixed": {"cpu": "1"}}},
    "Secret": {"data": {"a": "Mg=="}},
    "Service": {"spec": {"selector": {"app": "other"}}},
    "ServiceAccount": {"automountServiceAccountToken": False},
    "ServiceCIDR": {},
    "StorageClass": {"allowVolumeExpansion": True},
    "VolumeAttachment": {},
    "VolumeAttributesClass": {},
}
"""Kinds that don't count, and a change where one is allowed."""
STATUS: dict[str, Object] = {
    "CronJob": {"lastScheduleTime": "2026-01-01T00:00:00Z"},
    "DaemonSet": {"observedGeneration": 1},
    "Deployment": {"observedGeneration": 1},
    "Ingress": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    "Job": {"active": 1},
    "Pod": {"phase": "Running"},
    "PodDisruptionBudget": {"currentHealthy": 1},
    "ReplicaSet": {"replicas": 1},
    "ReplicationController": {"replicas": 1},
    "StatefulSet": {"replicas": 1},
    "ValidatingAdmissionPolicy": {"observedGeneration": 1},
}
CONDITION = {"type": "Tested", "status": "True", "reason": "Test", "lastTransitionTime": "2026-01-01T00:00:00Z"}
CONDITIONS = {"conditions": [{**CONDITION, "message": ""}]}
KINDS = {**COUNTED, **ONE_FOR_EVER, **UNCOUNTED}


async def patch(
    cluster: Cluster, resource: Resource, made: Object, body: Object, subresource: str = "", form: str = MERGE
) -> Object:
    transport = cluster.kernel.find(Connector).transport(UserInfo("root", groups=("system:masters",)))
    metadata = made["metadata"]
    where = metadata.get("namespace", ""), metadata["name"], subresource
    return await transport.call(Call("patch", resource.gvr, *where, body=body, content_type=form))


def stored(cluster: Cluster) -> list[Resource]:
    return [resource for resource in postable(cluster) if resource.virtual is None and resource.stored_as is None]


async def test_every_kind_is_in_the_table() -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        assert {resource.kind.kind for resource in stored(cluster)} == KINDS.keys()


async def test_generations_count_what_was_asked_for_and_nothing_else() -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        for resource in stored(cluster):
            kind = resource.kind.kind
            made = await post(cluster, resource, example(resource, "counted"))
            assert made is not None, kind
            first = None if kind in UNCOUNTED else 1
            assert made["metadata"].get("generation") == first, kind
            counted = await again(cluster, resource, made, LABELLED)
            assert counted == (2 if kind == "EndpointSlice" else first), kind
            counted = await again(cluster, resource, made, ANNOTATED)
            before = 2 if kind in ("EndpointSlice", "Deployment") else first
            assert counted == before, kind
            if "status" in resource.subresources:
                status = {"status": STATUS.get(kind, CONDITIONS)}
                assert await again(cluster, resource, made, status, "status") == before, kind
            if not KINDS[kind]:
                continue
            changed = await again(cluster, resource, made, KINDS[kind])
            assert changed == ((before or 0) + 1 if kind in COUNTED else first), kind
            assert await again(cluster, resource, made, KINDS[kind]) == changed, f"{kind}: the same said twice"
            if "scale" in resource.subresources:
                assert await again(cluster, resource, made, {"spec": {"replicas": 5}}, "scale") is None
                scaled = await call(cluster, "get", resource, "default", "counted")
                assert scaled["metadata"]["generation"] == (changed or 0) + 1, kind


async def again(cluster: Cluster, resource: Resource, made: Object, body: Object, subresource: str = "") -> int | None:
    """The generation after a change."""
    found = await patch(cluster, resource, made, body, subresource)
    number: int | None = found["metadata"].get("generation")
    return number


SAME: list[tuple[str, Object]] = [
    ("an empty list that may be absent", {"spec": {"template": {"spec": {"tolerations": []}}}}),
    ("an empty map that may be absent", {"spec": {"template": {"spec": {"nodeSelector": {}}}}}),
    ("nothing", {"spec": {"template": {"spec": {"volumes": None}}}}),
    (
        "a quantity in other words",
        {"spec": {"template": {"spec": {"containers": [{"name": "web", "resources": {"limits": {"cpu": "1000m"}}}]}}}},
    ),
]


@pytest.mark.parametrize(("what", "body"), SAME, ids=[what for what, _ in SAME])
async def test_what_means_the_same_is_no_change(what: str, body: Object) -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        resource = next(r for r in stored(cluster) if r.kind.kind == "Deployment")
        given = example(resource, "web")
        given["spec"]["template"]["spec"] = {
            "containers": [{"name": "web", "image": "nginx", "resources": {"limits": {"cpu": "1"}}}]
        }
        made = await post(cluster, resource, given)
        assert made is not None
        found = await patch(cluster, resource, made, body, form=STRATEGIC)
        assert found["metadata"]["generation"] == 1


@pytest.mark.parametrize(("kind", "created"), [("ConfigMap", 5), ("Deployment", 1), ("PriorityClass", 1)])
async def test_whoever_creates_may_say_where_what_is_not_counted_stays(kind: str, created: int) -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        resource = next(r for r in stored(cluster) if r.kind.kind == kind)
        given = example(resource, "web")
        given["metadata"]["generation"] = 5
        made = await post(cluster, resource, given)
        assert made is not None
        assert made["metadata"]["generation"] == created
        found = await patch(cluster, resource, made, {"metadata": {"generation": 9, "labels": {"a": "b"}}})
        assert found["metadata"]["generation"] == created
        given["metadata"] |= {"name": "other", "generation": -1}
        if kind != "ConfigMap":
            assert await post(cluster, resource, given) is not None
            return
        with pytest.raises(StatusError) as refused:
            await call(cluster, "create", resource, "default", body=given)
        assert "metadata.generation: Invalid value: -1: must be greater than or equal to 0" in refused.value.message


async def test_priority_classes_of_the_system_begin_at_one_too() -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        transport = cluster.kernel.find(Connector).transport(UserInfo("root", groups=("system:masters",)))
        found: dict[str, Any] = await transport.call(
            Call("get", GVR("scheduling.k8s.io", "v1", "priorityclasses"), "", "system-node-critical")
        )
        assert found["metadata"]["generation"] == 1
