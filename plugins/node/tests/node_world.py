"""A real node's agent on a scripted runtime, in a whole control plane and in virtual time: what its tests share."""

from contextlib import asynccontextmanager

import trio

from kubrick_api_core import EVENTS, PODS
from kubrick_client import Client
from kubrick_node.node import Node
from kubrick_node.runtime import ContainerRuntime
from kubrick_node.settings import Settings
from kubrick_node.testing.runtime import ScriptedRuntime
from kubrick_testing import build, run_cluster


class World:
    """A cluster with one node of ours, which can fall away and come back."""

    def __init__(self, cluster, nursery, settings, root):
        self.cluster = cluster
        self.client: Client = cluster.client
        self.runtime = ScriptedRuntime(cluster.kernel.clock)
        self.root = root
        self.settings = settings
        self._nursery = nursery
        cluster.kernel.offer(ContainerRuntime, self.runtime)

    async def start(self):
        self.node = Node(self.cluster.kernel, self.settings)
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        await self._nursery.start(self._run)

    async def _run(self, task_status):
        with self.scope:
            await self.node.run(task_status)
        self.ended.set()

    async def stop(self):
        self.scope.cancel()
        await self.ended.wait()

    async def pod(self, name="web", **spec):
        made = build.pod(name, automountServiceAccountToken=False, nodeName="node-1", **spec)
        return await self.client.create(PODS, made, "default")

    async def until(self, holds, name="web", seconds=600.0):
        return await self.cluster.until(PODS, name, lambda pod: pod is not None and holds(pod), seconds=seconds)

    async def until_running(self, name="web"):
        return await self.until(lambda pod: ready(pod) == "True", name)

    async def until_gone(self, name="web"):
        await self.cluster.until(PODS, name, lambda pod: pod is None)

    async def events(self, reason):
        await trio.sleep(1)
        listed = await self.client.list(EVENTS, "default")
        return [event["message"] for event in listed["items"] if event["reason"] == reason]

    async def said(self, reason):
        """The same as (type, message, which part of the object)."""
        await trio.sleep(1)
        listed = await self.client.list(EVENTS, "default")
        found = [event for event in listed["items"] if event["reason"] == reason]
        return [(e["type"], e["message"], e["involvedObject"].get("fieldPath", "")) for e in found]

    def directory(self, pod):
        return self.root / "node" / "pods" / pod["metadata"]["uid"]


def ready(pod):
    conditions = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions") or ()}
    return conditions.get("Ready")


def container(pod, name="web", listed="containerStatuses"):
    return next(one for one in pod["status"].get(listed) or () if one["name"] == name)


def restarts(pod):
    return sum(one["restartCount"] for one in pod["status"].get("containerStatuses") or ())


def waiting(pod):
    for one in pod.get("status", {}).get("containerStatuses") or ():
        return (one["state"].get("waiting") or {}).get("reason")
    return None


@asynccontextmanager
async def running(tmp_path, **settings):
    made = Settings(
        name="node-1", address="127.0.0.1", cgroups="", resolv_conf="", cluster_dns=["10.96.0.10"], **settings
    )
    async with (
        run_cluster("control-plane", enable=["node"], data_dir=tmp_path) as cluster,
        trio.open_nursery() as nursery,
    ):
        world = World(cluster, nursery, made, tmp_path)
        await world.start()
        yield world
        await world.stop()
