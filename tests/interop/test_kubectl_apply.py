"""kubectl apply, from the client's side to the server's, by old and new kubectls."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kubrick_testing import RealCluster

sys.path.insert(0, str(Path(__file__).parent))
from kubectls import each_kubectl

pytestmark = pytest.mark.kubrick(arguments=("--profile", "api"))

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:%d
        ports: [{containerPort: 80}]
"""


@each_kubectl
async def test_apply_moves_from_the_client_to_the_server(real_cluster: RealCluster, kubectl: str) -> None:
    async def run(*arguments: str, stdin: str = "", check: bool = True) -> str:
        return await real_cluster.kubectl(*arguments, stdin=stdin, kubectl=kubectl, check=check)

    async def managers() -> list[tuple[str, str]]:
        shown = await run("get", "--raw", "/apis/apps/v1/namespaces/default/deployments/web")
        entries: list[dict[str, Any]] = json.loads(shown)["metadata"]["managedFields"]
        return [(entry["manager"], entry["operation"]) for entry in entries]

    assert "deployment.apps/web created" in await run("apply", "-f", "-", stdin=DEPLOYMENT % (2, 1))
    ((name, operation),) = await managers()
    assert name.startswith("kubectl")
    assert operation == "Update"
    assert "replicas: 2" in await run("apply", "view-last-applied", "deployment/web")
    assert "deployment.apps/web unchanged" in await run("apply", "-f", "-", stdin=DEPLOYMENT % (2, 1))
    assert "deployment.apps/web configured" in await run("apply", "-f", "-", stdin=DEPLOYMENT % (3, 1))

    # What kubectl itself applied before is not in its way, whatever its version called itself then.
    answer = await run("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT % (4, 2))
    assert "deployment.apps/web serverside-applied" in answer
    assert ("kubectl", "Apply") in await managers()
    assert "replicas: 4" in await run("apply", "view-last-applied", "deployment/web")

    refused = await run(
        "apply", "--server-side", "--field-manager=rival", "-f", "-", stdin=DEPLOYMENT % (9, 2), check=False
    )
    assert "Apply failed with 1 conflict" in refused
    assert 'conflict with "kubectl"' in refused
    assert ".spec.replicas" in refused
    forced = ("apply", "--server-side", "--force-conflicts", "--field-manager=rival", "-f", "-")
    assert "serverside-applied" in await run(*forced, stdin=DEPLOYMENT % (9, 2))
    assert await run("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "9"
    before = await run("get", "deployment", "web", "-o", "jsonpath={.metadata.resourceVersion}")
    assert "serverside-applied" in await run(*forced, stdin=DEPLOYMENT % (9, 2))
    assert await run("get", "deployment", "web", "-o", "jsonpath={.metadata.resourceVersion}") == before

    assert "scaled" in await run("scale", "deployment/web", "--replicas=1")
    assert await run("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "1"
    assert len(await managers()) >= 3
    if "1.20" in kubectl:  # it looks for dryRun where the OpenAPI of later servers has references
        return
    tried = await run("apply", "--dry-run=server", "-f", "-", stdin=DEPLOYMENT % (7, 7))
    assert "configured (server dry run)" in tried
    assert await run("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "1"
    assert "deleted" in await run("delete", "deployment", "web")


@each_kubectl
async def test_what_a_type_has_not_is_refused(real_cluster: RealCluster, kubectl: str) -> None:
    wrong = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndada: {a: b}\n"
    refused = await real_cluster.kubectl(
        "apply", "--server-side", "--validate=false", "-f", "-", stdin=wrong, kubectl=kubectl, check=False
    )
    assert "failed to create typed patch object (default/c; /v1, Kind=ConfigMap): .dada: field not" in refused
