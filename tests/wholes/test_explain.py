"""What `kubectl explain --recursive` shows of the common kinds: a sentence of ours for every field."""

import orjson

from kubrick_api.catalog import Catalog
from kubrick_api.definitions import words
from kubrick_api.openapi import OpenAPI
from kubrick_testing import Cluster

COMMON = {
    "v1": (
        "ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod "
        "ResourceQuota Secret Service ServiceAccount"
    ),
    "apps/v1": "DaemonSet Deployment ReplicaSet StatefulSet",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "batch/v1": "CronJob Job",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "policy/v1": "PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "StorageClass",
}


async def test_every_field_of_the_common_kinds_has_a_sentence(cluster: Cluster) -> None:
    catalog = cluster.kernel.find(Catalog)
    openapi = OpenAPI(catalog, "v1.36.0")
    checked = 0
    for version, kinds in COMMON.items():
        document = openapi.v3(f"{'api' if version == 'v1' else 'apis'}/{version}")
        assert document is not None
        schemas = orjson.loads(document.body)["components"]["schemas"]
        waiting = [
            name
            for name, schema in schemas.items()
            for gvk in schema.get("x-kubernetes-group-version-kind", ())
            if gvk["kind"] in kinds.split()
        ]
        assert len(waiting) >= len(kinds.split())
        seen = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            schema = schemas[name]
            short = name.rpartition(".")[2]
            assert not schema["description"].startswith(f"{short} describes the"), name
            for field, spec in schema.get("properties", {}).items():
                text = spec["description"]
                assert text.endswith("."), f"{name}.{field}: {text}"
                assert text != f"The {words(field)} of this {words(short)}.", f"{name}.{field} has only its name"
                waiting += references(spec)
                checked += 1
    assert checked > 1200


def references(spec: object) -> list[str]:
    """The names of the schemas that one refers to."""
    if isinstance(spec, dict):
        found = [name for value in spec.values() for name in references(value)]
        return found + ([str(spec["$ref"]).rpartition("/")[2]] if "$ref" in spec else [])
    if isinstance(spec, list):
        return [name for value in spec for name in references(value)]
    return []
