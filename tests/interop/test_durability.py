"""What was acknowledged is there after ``kill -9``, and after a restart all is as it was."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from kubrick_testing import RealCluster

sys.path.insert(0, str(Path(__file__).parent))


async def test_every_acknowledged_write_survives_being_killed(tmp_path: Path):
    """In a process of its own: httpx leaves the streams of a killed server to the garbage collector."""
    script = Path(__file__).with_name("soak_durability.py")
    done = await trio.run_process(
        [sys.executable, script, "3"], capture_stdout=True, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout.decode()
    assert done.stdout.decode().count("all there") == 3


@pytest.mark.kubrick(arguments=("--profile", "hollow", "--nodes", "1"))
async def test_a_restart_brings_back_the_same_objects_at_the_same_revisions(real_cluster: RealCluster):
    async def versions() -> dict[str, str]:
        text = await real_cluster.kubectl(
            "get", "pods,deployments,replicasets,services,configmaps,secrets", "-A", "-ojson"
        )
        items = json.loads(text)["items"]
        return {
            f"{i['kind']} {i['metadata']['name']} {i['metadata']['uid']}": i["metadata"]["resourceVersion"]
            for i in items
        }

    await real_cluster.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2")
    await real_cluster.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    before = await versions()
    at = json.loads(await real_cluster.kubectl("get", "pods", "-ojson", "--chunk-size=0"))["items"]
    await real_cluster.stop()
    await real_cluster.start()
    assert await versions() == before
    await real_cluster.kubectl("label", "pod", at[0]["metadata"]["name"], "after=restart")
    first = min(int(pod["metadata"]["resourceVersion"]) for pod in at)
    path = f"/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1&resourceVersion={first - 1}"
    events = [json.loads(line) for line in (await real_cluster.kubectl("get", "--raw", path)).splitlines()]
    assert events[-1]["object"]["metadata"]["labels"]["after"] == "restart"
    assert events[0]["object"]["metadata"]["resourceVersion"] == str(first)
