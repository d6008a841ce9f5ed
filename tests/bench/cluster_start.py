"""How fast a cluster starts, how much memory it takes, and how fast a Deployment of 100 becomes Ready.

Figures to hold: process start to ready at most 1.0 s and 130 MB (hollow, 3 nodes, SQLite); the `cluster`
fixture at most 100 ms; 100 replicas on 10 nodes fully Ready at most 1.5 s after ``kubectl apply`` returns.
Kubernetes' own binaries need 2.8 s to start the API server alone and 288 MB for it.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import trio
from _server import family, resident
from trio.testing import MockClock

from kubrick_api_apps import DEPLOYMENTS
from kubrick_api_core import PODS
from kubrick_runtime_hollow.nodes import HollowNodes
from kubrick_testing import RealCluster, build, run_cluster

KUBERNETES_START = 2.8
KUBERNETES_MEMORY = 288.0

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 100
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
"""


async def start(repeats: int = 5) -> tuple[float, float]:
    """Seconds from process start to ready (median), and MB resident then (largest), in all its processes."""
    seconds, megabytes = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as directory:
            cluster = RealCluster(Path(directory) / "data", ("--profile", "hollow", "--nodes", "3"))
            began = time.perf_counter()
            await cluster.start()
            seconds.append(time.perf_counter() - began)
            megabytes.append(sum(map(resident, family(cluster.pid))))
            await cluster.stop()
    return statistics.median(seconds), max(megabytes)


async def fixture(repeats: int = 20) -> float:
    """Seconds to a ready `cluster` (median, the first one apart: it imports)."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        async with run_cluster():
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


async def deployment() -> float:
    """Seconds from the return of ``kubectl apply`` until 100 replicas on 10 nodes are Ready."""
    with tempfile.TemporaryDirectory() as directory:
        cluster = RealCluster(Path(directory) / "data", ("--profile", "hollow", "--nodes", "10"))
        await cluster.start()
        try:
            await cluster.kubectl("get", "deployments")  # discovery is cached by then
            await cluster.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
            began = time.perf_counter()
            await cluster.kubectl(
                "wait", "--for=jsonpath={.status.readyReplicas}=100", "deployment/web", "--timeout=60s"
            )
            return time.perf_counter() - began
        finally:
            await cluster.stop()


async def lost_node() -> None:
    """Six pods, their node falls silent, and six pods run again; run under MockClock."""
    async with run_cluster("hollow", settings={"runtime-hollow": {"nodes": 3}}) as cluster:
        nodes = cluster.kernel.find(HollowNodes)
        await cluster.client.create(DEPLOYMENTS, build.deployment(replicas=6), "default")
        pods = await cluster.until_all(PODS, lambda pods: len(pods) == 6 and all(map(_is_ready, pods)), "default")
        lost = pods[0]["spec"]["nodeName"]
        nodes.stop(lost)
        await cluster.until_all(
            PODS, lambda pods: sum(_is_ready(p) and p["spec"]["nodeName"] != lost for p in pods) == 6, "default"
        )


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def virtual_time() -> float:
    """Real seconds that losing a node takes: 50 s until it is NotReady and 300 s more, in virtual time."""
    began = time.perf_counter()
    trio.run(lost_node, clock=MockClock(autojump_threshold=0))
    return time.perf_counter() - began


async def main() -> None:
    seconds, megabytes = await start()
    faster, smaller = KUBERNETES_START / seconds, KUBERNETES_MEMORY / megabytes
    alone = "Kubernetes' API server alone"
    print(f"{'start to ready, hollow, 3 nodes, SQLite':46}{seconds:8.2f} s   limit 1.0   {alone} {faster:.1f}×")
    print(f"{'memory then':46}{megabytes:8.0f} MB  limit 130   {alone} {smaller:.1f}×")
    print(f"{'the cluster fixture':46}{await fixture() * 1000:8.0f} ms  limit 100")
    print(f"{'100 replicas Ready after apply, 10 nodes':46}{await deployment():8.2f} s   limit 1.5")


if __name__ == "__main__":
    trio.run(main)
    print(f"{'a lost node, 350 virtual seconds':46}{virtual_time():8.2f} s   limit 1.0")
