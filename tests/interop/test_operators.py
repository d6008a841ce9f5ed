"""Operators and clients of other people: kopf runs an operator; lightkube goes through its common flows."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from lightkube import ApiError, Client, KubeConfig
from lightkube.core.exceptions import ConditionError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Pod
from lightkube.types import CascadeType, PatchType

from kubrick_testing import RealCluster

ANNOTATION = "kopf.test/"


async def eventually(question: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first answer that isn't nothing; the question blocks, so it is asked in a thread."""
    with trio.fail_after(seconds):
        while True:
            answer = await trio.to_thread.run_sync(question)
            if answer:
                return answer
            await trio.sleep(0.05)


def client_of(cluster: RealCluster) -> Client:
    return Client(config=KubeConfig.from_file(str(cluster.kubeconfig)), namespace="default", field_manager="lightkube")


@pytest.fixture
def client(real_cluster: RealCluster) -> Any:
    made = client_of(real_cluster)
    yield made
    made._client._client.close()


def notes(client: Client, name: str) -> dict[str, str]:
    annotations = client.get(ConfigMap, name).metadata.annotations or {}
    return {key.removeprefix(ANNOTATION): value for key, value in annotations.items() if key.startswith(ANNOTATION)}


def gone(client: Client, kind: Any, name: str) -> bool:
    try:
        client.get(kind, name)
    except ApiError as error:
        return error.status.code == 404
    return False


async def test_kopf_runs_an_operator(real_cluster: RealCluster, client: Client):
    script = Path(__file__).with_name("kopf_operator.py")
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default", str(script)]
    environment = {
        "KUBECONFIG": str(real_cluster.kubeconfig),
        "PATH": "/usr/bin:/bin",
        "HOME": str(real_cluster.data_dir),
    }
    async with trio.open_nursery() as nursery:
        operator = await nursery.start(
            partial(
                trio.run_process,
                command,
                env=environment,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
        )
        metadata = ObjectMeta(name="watched", labels={"watched": "yes"})
        client.create(ConfigMap(metadata=metadata, data={"greeting": "hello"}))
        said = await eventually(
            lambda: (found := notes(client, "watched")) and {"created", "ticked"} <= found.keys() and found
        )
        assert said["created"] == "hello"
        client.patch(ConfigMap, "watched", {"data": {"greeting": "good day"}})
        await eventually(lambda: notes(client, "watched").get("updated") == "hello -> good day")
        assert client.get(ConfigMap, "watched").metadata.finalizers == ["kopf.test/finalizer"]
        events = await eventually(
            lambda: [each for each in client.list(Event) if each.reason == "Greeted" and each.involvedObject.name]
        )
        assert events[0].message == "said hello"
        client.delete(ConfigMap, "watched")
        await eventually(lambda: gone(client, ConfigMap, "watched"))
        operator.terminate()


async def test_lightkube_goes_through_its_common_flows(client: Client):
    def flow() -> None:
        labels = {"app": "web"}
        template = PodTemplateSpec(
            metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(name="web", image="nginx")])
        )
        wanted = Deployment(
            metadata=ObjectMeta(name="web"),
            spec=DeploymentSpec(replicas=2, selector=LabelSelector(matchLabels=labels), template=template),
        )
        made = client.create(wanted)
        assert made.spec.strategy.type == "RollingUpdate"
        ready = client.wait(Deployment, "web", for_conditions=["Available"])
        assert ready.status.availableReplicas == 2
        assert {pod.metadata.labels["app"] for pod in client.list(Pod, labels={"app": "web"})} == {"web"}
        scaled = client.patch(Deployment.Scale, "web", {"spec": {"replicas": 3}})
        assert scaled.spec.replicas == 3
        for kind, seen in client.watch(Deployment, fields={"metadata.name": "web"}, resource_version=None):
            if seen.status.readyReplicas == 3:
                assert kind in ("ADDED", "MODIFIED")
                break
        changed = client.get(Deployment, "web")
        changed.spec.template.spec.containers[0].image = "nginx:2"
        assert client.replace(changed).metadata.generation == changed.metadata.generation + 1
        with pytest.raises(ApiError) as refused:
            client.replace(changed)
        assert refused.value.status.reason == "Conflict"
        client.patch(
            Deployment,
            "web",
            [{"op": "add", "path": "/metadata/labels", "value": {"tier": "front"}}],
            patch_type=PatchType.JSON,
        )
        with pytest.raises(ApiError) as invalid:
            client.patch(Deployment, "web", {"spec": {"replicas": -1}})
        assert invalid.value.status.reason == "Invalid"
        assert invalid.value.status.details.causes[0].field == "spec.replicas"
        client.delete(Deployment, "web", cascade=CascadeType.FOREGROUND)

    await trio.to_thread.run_sync(flow)
    await eventually(lambda: gone(client, Deployment, "web"))
    assert not list(client.list(Pod, labels={"app": "web"}))


async def test_lightkube_applies_on_the_server(client: Client):
    def flow() -> None:
        mine = ConfigMap(metadata=ObjectMeta(name="shared"), data={"mine": "1"})
        made = client.apply(mine)
        assert made.data == {"mine": "1"}
        assert [entry.manager for entry in made.metadata.managedFields] == ["lightkube"]
        client.apply(ConfigMap(metadata=ObjectMeta(name="shared"), data={"theirs": "2"}), field_manager="other")
        again = client.apply(ConfigMap(metadata=ObjectMeta(name="shared"), data={"mine": "3"}))
        assert again.data == {"mine": "3", "theirs": "2"}
        with pytest.raises(ApiError) as conflict:
            client.apply(ConfigMap(metadata=ObjectMeta(name="shared"), data={"theirs": "4"}))
        assert conflict.value.status.code == 409
        assert conflict.value.status.details.causes[0].field == ".data.theirs"
        assert client.apply(ConfigMap(metadata=ObjectMeta(name="shared"), data={"theirs": "4"}), force=True).data == {
            "theirs": "4"
        }

    await trio.to_thread.run_sync(flow)


async def test_lightkube_says_when_a_wait_is_in_vain(client: Client):
    def flow() -> None:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "doomed"},
            "spec": {"containers": [{"name": "a", "image": "a"}]},
        }
        client.create(Pod.from_dict(pod))
        with pytest.raises(ConditionError):
            client.wait(Pod, "doomed", for_conditions=["Never"], raise_for_conditions=["Ready"])

    await trio.to_thread.run_sync(flow)
