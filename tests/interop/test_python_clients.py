"""The clients people use from Python, unchanged: create, watch, patch and delete."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from kubrick_testing import RealCluster


def with_the_kubernetes_package(kubeconfig: str) -> list[str]:
    """The official client, in a thread. Returns what its watch saw."""
    from kubernetes import client, config, watch

    api_client = config.new_client_from_config(kubeconfig)
    try:
        core, apps = client.CoreV1Api(api_client), client.AppsV1Api(api_client)
        labels = {"app": "web"}
        template = client.V1PodTemplateSpec(
            metadata=client.V1ObjectMeta(labels=labels),
            spec=client.V1PodSpec(containers=[client.V1Container(name="web", image="nginx")]),
        )
        spec = client.V1DeploymentSpec(replicas=2, selector={"matchLabels": labels}, template=template)
        metadata = client.V1ObjectMeta(name="web")
        made = apps.create_namespaced_deployment("default", client.V1Deployment(metadata=metadata, spec=spec))
        seen = []
        watcher = watch.Watch()
        for event in watcher.stream(
            apps.list_namespaced_deployment,
            "default",
            resource_version=made.metadata.resource_version,
            timeout_seconds=30,
        ):
            seen.append(f"{event['type']} {event['object'].status.ready_replicas}")
            if event["object"].status.ready_replicas == 2:
                watcher.stop()
        patched = apps.patch_namespaced_deployment("web", "default", {"metadata": {"labels": {"tier": "front"}}})
        assert patched.metadata.labels == {"tier": "front"}
        assert len(core.list_namespaced_pod("default", label_selector="app=web").items) == 2
        apps.delete_namespaced_deployment("web", "default")
        with pytest.raises(client.ApiException) as caught:
            apps.read_namespaced_deployment("web", "default")
        assert (caught.value.status, caught.value.reason) == (404, "Not Found")
        return seen
    finally:
        api_client.rest_client.pool_manager.clear()
        api_client.close()


async def test_the_kubernetes_package_creates_watches_patches_and_deletes(real_cluster: RealCluster):
    seen = await trio.to_thread.run_sync(partial(with_the_kubernetes_package, str(real_cluster.kubeconfig)))
    assert seen[-1] == "MODIFIED 2"


async def test_kr8s_creates_watches_patches_and_deletes(real_cluster: RealCluster):
    """In a process of its own: httpx leaves what a watch was stopped in to the garbage collector."""
    script = Path(__file__).with_name("kr8s_session.py")
    done = await trio.run_process(
        [sys.executable, script, real_cluster.kubeconfig], capture_stdout=True, stderr=subprocess.STDOUT, check=False
    )
    assert done.stdout.decode().splitlines()[-1].endswith("Running"), done.stdout.decode()
    assert done.returncode == 0
