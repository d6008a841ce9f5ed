"""A user's session with kubectl, old and new, against ``kubrick up --profile hollow --nodes 3``."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from kubrick_testing import RealCluster

sys.path.insert(0, str(Path(__file__).parent))
from kubectls import each_kubectl, minor

pytestmark = pytest.mark.kubrick(arguments=("--profile", "hollow", "--nodes", "3"))

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {team: a}}
data: {kept: "1", removed: "2"}
"""


def test_there_is_a_kubectl():
    assert shutil.which("kubectl"), "install kubernetes-client: make setup does it as root"


@each_kubectl
async def test_a_deployment_from_creation_to_deletion(real_cluster: RealCluster, kubectl: str):
    async def run(*arguments: str, stdin: str = "", check: bool = True) -> str:
        return await real_cluster.kubectl(*arguments, stdin=stdin, kubectl=kubectl, check=check)

    assert "node-3" in await run("get", "nodes")
    assert "deployment.apps/web created" in await run("create", "deployment", "web", "--image=nginx", "--replicas=3")
    assert "successfully rolled out" in await run("rollout", "status", "deployment/web", "--timeout=30s")
    assert "condition met" in await run("wait", "--for=condition=Available", "deployment/web", "--timeout=30s")
    everything = await run("get", "all", "-A")
    assert "deployment.apps/web" in everything
    assert "3/3" in everything
    assert "service/kubernetes" in everything

    assert "image updated" in await run("set", "image", "deployment/web", "nginx=nginx:2")
    await run("rollout", "status", "deployment/web", "--timeout=30s")
    history = await run("rollout", "history", "deployment/web")
    assert history.split()[-4:] == ["1", "<none>", "2", "<none>"]
    assert "rolled back" in await run("rollout", "undo", "deployment/web")
    await run("rollout", "status", "deployment/web", "--timeout=30s")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert await run("get", "deployment", "web", "-o", image) == "nginx"

    assert "scaled" in await run("scale", "deployment/web", "--replicas=5")
    await run("rollout", "status", "deployment/web", "--timeout=30s")
    assert "exposed" in await run("expose", "deployment", "web", "--port=80")
    old = minor(kubectl) < 23
    if not old:
        await run(
            "wait",
            "--for=jsonpath={.endpoints[4].conditions.ready}=true",
            "endpointslices",
            "-l",
            "kubernetes.io/service-name=web",
            "--timeout=30s",
        )
    slices = json.loads(await run("get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o", "json"))
    assert sum(len(s["endpoints"]) for s in slices["items"]) == 5

    wide = await run("get", "pods", "-o", "wide")
    assert wide.splitlines()[0].split() == (
        ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]
    )
    assert wide.count("1/1") == wide.count("Running") == 5
    pod, *_, node, _, _ = wide.splitlines()[1].split()
    described = " ".join((await run("describe", "pod", pod)).split())
    for expected in ("Status: Running", "Controlled By: ReplicaSet/web-", "Successfully assigned default/"):
        assert expected in described
    assert "Scheduled" in await run(*(("get", "events") if old else ("events",)))
    assert "labeled" in await run("label", "pod", pod, "tier=front")
    assert "annotate" in await run("annotate", "pod", pod, "note=hello")
    assert pod in await run("get", "pods", "-l", "tier=front")

    assert "cordoned" in await run("cordon", node)
    assert "Ready,SchedulingDisabled" in await run("get", "nodes")
    done = "evicted" if old else "drained"
    drained = await run("drain", node, "--ignore-daemonsets", "--timeout=60s")
    assert f"node/{node} {done}" in drained
    assert pod in drained
    await run("rollout", "status", "deployment/web", "--timeout=30s")
    assert node not in await run("get", "pods", "-o", "wide")
    assert "uncordoned" in await run("uncordon", node)

    await run("delete", "deployment", "web", "--cascade=foreground", "--timeout=60s")
    assert "No resources found" in await run("get", "replicasets,pods", check=False)
    assert "patched" in await run("patch", "service", "web", "-p", '{"metadata":{"labels":{"a":"b"}}}')


@each_kubectl
async def test_discovery_explains_and_lists_every_resource(real_cluster: RealCluster, kubectl: str):
    resources = await real_cluster.kubectl("api-resources", "--no-headers", kubectl=kubectl)
    assert len(resources.splitlines()) == 67  # events and HPAs are listed per group; reviews included
    explained = await real_cluster.kubectl("explain", "pod.spec.containers", kubectl=kubectl)
    assert explained.split()[:2] == ["KIND:", "Pod"]
    assert "image\t<string>" in explained
    recursive = await real_cluster.kubectl("explain", "deployment", "--recursive", kubectl=kubectl)
    assert "maxSurge" in recursive
    allowed = await real_cluster.kubectl("auth", "can-i", "--list", kubectl=kubectl)
    assert "*.*" in allowed
    assert (await real_cluster.kubectl("auth", "can-i", "create", "pods", kubectl=kubectl)).strip() == "yes"


@each_kubectl
async def test_apply_diff_and_patch(real_cluster: RealCluster, kubectl: str):
    async def run(*arguments: str, stdin: str = "", check: bool = True) -> str:
        return await real_cluster.kubectl(*arguments, stdin=stdin, kubectl=kubectl, check=check)

    assert "configmap/settings created" in await run("apply", "-f", "-", stdin=CONFIG)
    shrunk = CONFIG.replace(', removed: "2"', "").replace('"1"', '"3"')
    difference = await run("diff", "-f", "-", stdin=shrunk, check=False)
    assert '-  removed: "2"' in difference
    assert "configured (server dry run)" in await run("apply", "--dry-run=server", "-f", "-", stdin=shrunk)
    data = "jsonpath={.data}"
    assert json.loads(await run("get", "configmap", "settings", "-o", data)) == {"kept": "1", "removed": "2"}
    assert "configmap/settings configured" in await run("apply", "-f", "-", stdin=shrunk)
    assert json.loads(await run("get", "configmap", "settings", "-o", data)) == {"kept": "3"}
    assert "configmap/settings unchanged" in await run("apply", "-f", "-", stdin=shrunk)
    for kind, patch in (
        ("strategic", '{"data":{"a":"1"}}'),
        ("merge", '{"data":{"b":"2","a":null}}'),
        ("json", '[{"op":"add","path":"/data/c","value":"3"}]'),
    ):
        assert "patched" in await run("patch", "configmap", "settings", "--type", kind, "-p", patch)
    assert json.loads(await run("get", "configmap", "settings", "-o", data)) == {"kept": "3", "b": "2", "c": "3"}
    refused = await run("apply", "-f", "-", stdin=CONFIG.replace("\ndata:", "\ndate:"), check=False)
    assert 'unknown field "date"' in refused


@each_kubectl
async def test_watching_orphaning_and_deleting_a_namespace(real_cluster: RealCluster, kubectl: str):
    async def run(*arguments: str, stdin: str = "", check: bool = True) -> str:
        return await real_cluster.kubectl(*arguments, stdin=stdin, kubectl=kubectl, check=check)

    await run("create", "namespace", "team")
    await run("create", "deployment", "web", "--image=nginx", "-n", "team")
    await run("rollout", "status", "deployment/web", "-n", "team", "--timeout=30s")
    watched = await run("get", "pods", "-n", "team", "-w", "--request-timeout=2s", check=False)
    assert "Running" in watched
    await run("delete", "deployment", "web", "-n", "team", "--cascade=orphan")
    assert "replicaset.apps/web-" in await run("get", "replicasets", "-n", "team", "-o", "name")
    owners = await run("get", "replicasets", "-n", "team", "-o", "jsonpath={.items[*].metadata.ownerReferences}")
    assert owners == ""
    await run("delete", "namespace", "team", "--timeout=60s")
    assert "NotFound" in await run("get", "namespace", "team", check=False)
    assert "No resources found" in await run("get", "pods", "-n", "team", check=False)
