"""One autoscaler through two versions of the API: whichever way it is written, both read the same."""

from typing import Any

import pytest
import trio

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.storage import Call
from kubrick_api_autoscaling import HORIZONTAL_POD_AUTOSCALERS, HORIZONTAL_POD_AUTOSCALERS_V1
from kubrick_testing import run_cluster

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"
V1, V2 = HORIZONTAL_POD_AUTOSCALERS_V1, HORIZONTAL_POD_AUTOSCALERS
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}


def scaler(version: GVR, **spec: Any) -> Object:
    return {
        "apiVersion": f"autoscaling/{version.version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 5, **spec},
    }


def cpu(obj: Object) -> Any:
    """What each version says of the processors' load."""
    if obj["apiVersion"] == "autoscaling/v1":
        return obj["spec"].get("targetCPUUtilizationPercentage")
    found = [m["resource"]["target"].get("averageUtilization") for m in obj["spec"]["metrics"]]
    return next((load for load in found if load is not None), None)


async def test_patches_through_either_version_meet_in_one_object() -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client
        made = await client.create(V2, scaler(V2, metrics=[MEMORY]), "default")
        old = await client.get(V1, "web", "default")
        assert old["metadata"]["uid"] == made["metadata"]["uid"]
        assert old["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        await client.patch(V1, "web", {"spec": {"targetCPUUtilizationPercentage": 42}}, "default")
        new = await client.get(V2, "web", "default")
        assert cpu(new) == 42
        assert MEMORY in new["spec"]["metrics"]
        assert "annotations" not in new["metadata"]
        await client.patch(V2, "web", {"spec": {"maxReplicas": 9}}, "default", kind="merge")
        old = await client.get(V1, "web", "default")
        assert (old["spec"]["maxReplicas"], cpu(old)) == (9, 42)


@pytest.mark.parametrize("version", [V1, V2])
async def test_a_watch_speaks_its_own_version(version: GVR) -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client
        seen: list[Object] = []
        with trio.fail_after(20):
            made = await client.create(V1, scaler(V1, targetCPUUtilizationPercentage=60), "default")
            await client.patch(V2, "web", {"spec": {"maxReplicas": 6}}, "default", kind="merge")
            await client.patch(V1, "web", {"spec": {"targetCPUUtilizationPercentage": 61}}, "default", kind="merge")
            async with client.watch(version, "default", resource_version=made["metadata"]["resourceVersion"]) as stream:
                while len(seen) < 2:
                    seen += [event.object for event in await stream.receive() if event.type != "BOOKMARK"]
        assert [(obj["apiVersion"], obj["spec"]["maxReplicas"], cpu(obj)) for obj in seen] == [
            (f"autoscaling/{version.version}", 6, 60),
            (f"autoscaling/{version.version}", 6, 61),
        ]


async def test_applying_through_both_versions_keeps_both_owners() -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client

        async def apply(version: GVR, manager: str, body: Object) -> Object:
            params = {"fieldManager": manager}
            return await client.transport.call(
                Call("patch", version, "default", "web", params=params, body=body, content_type=APPLY)
            )

        await apply(V1, "first", scaler(V1, targetCPUUtilizationPercentage=30))
        second = {**scaler(V2), "spec": {"minReplicas": 2}}
        await apply(V2, "second", second)
        old, new = await client.get(V1, "web", "default"), await client.get(V2, "web", "default")
        for obj in (old, new):
            assert (obj["spec"]["minReplicas"], obj["spec"]["maxReplicas"], cpu(obj)) == (2, 5, 30)
            owners = {entry["manager"]: entry["apiVersion"] for entry in obj["metadata"]["managedFields"]}
            assert owners == {"first": "autoscaling/v1", "second": "autoscaling/v2"}
        with pytest.raises(StatusError) as caught:
            await apply(V2, "second", {**second, "spec": {"minReplicas": 2, "maxReplicas": 8}})
        assert caught.value.message == ('Apply failed with 1 conflict: conflict with "first": .spec.maxReplicas')
        await apply(V2, "second", {**second, "spec": {}})
        assert (await client.get(V1, "web", "default"))["spec"]["minReplicas"] == 1
