"""What of an object's metadata can be changed through its status: what each kind's strategy upstream lets pass."""

import sys
from pathlib import Path

from kubrick_testing import run_cluster

sys.path.insert(0, str(Path(__file__).parent))
from api_examples import Object, example
from test_api_mutations import ACCOUNTS, post, postable
from test_generation import patch

SENT: Object = {
    "labels": {"by": "status"},
    "annotations": {"example.com/by": "status"},
    "finalizers": ["example.com/by-status"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1-2"}],
}
"""All metadata that a client may write."""
NOTHING: set[str] = set()
KEPT = {
    "APIService": NOTHING,
    "CustomResourceDefinition": NOTHING,
    "Deployment": SENT.keys() - {"labels"},
    "FlowSchema": NOTHING,
    "Pod": SENT.keys() - {"ownerReferences"},
    "PriorityLevelConfiguration": NOTHING,
    "ResourceClaim": NOTHING,
    "ValidatingAdmissionPolicy": NOTHING,
    "VolumeAttachment": NOTHING,
}
"""What passes; of all other kinds everything does."""


async def test_what_may_come_along_with_a_status() -> None:
    kinds = set()
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        for resource in postable(cluster):
            kind, view = resource.kind.kind, resource.subresources.get("status")
            if view is None or "patch" not in view.verbs or resource.stored_as is not None:
                continue
            kinds.add(kind)
            made = await post(cluster, resource, example(resource, "along"))
            assert made is not None, kind
            sent: Object = {"metadata": {**SENT, "generation": 7, "uid": None}, "spec": None}
            found = await patch(cluster, resource, made, sent, "status")
            before, after = made["metadata"], found["metadata"]
            passed = {name for name in SENT if after.get(name) != before.get(name)}
            assert passed == KEPT.get(kind, SENT.keys()), kind
            assert found.get("spec") == made.get("spec"), kind
            for name in ("uid", "creationTimestamp", "generation", "name", "namespace"):
                assert after.get(name) == before.get(name), kind
            if "managedFields" in before:  # an object of which nobody ever owned anything isn't tracked
                mine = [entry["fieldsV1"] for entry in after["managedFields"] if entry.get("subresource") == "status"]
                owned = mine[0].get("f:metadata", {}) if mine else {}
                assert {name for name in SENT if f"f:{name}" in owned} == passed, f"{kind}: what the writer owns"
    assert KEPT.keys() <= kinds
    assert len(kinds) == 26
