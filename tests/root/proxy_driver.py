"""A control plane with the real proxy in the network namespace this process was started in.

Reads one JSON object a line from stdin and answers each with one line: {"apply": [objects]} and {"delete":
[objects]} return when the proxy has sent what follows from them; {"nft": "commands"} runs them behind the proxy's
back; {"wait": true} returns after its next transaction; {"ports": true} says where it answers over HTTP. The end of
stdin drains. The first line out says that all is ready.
"""

import json
import sys
from typing import Any

import trio

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api_core import NODES, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_proxy_nftables.proxy import Proxy
from kubrick_testing import Cluster, run_cluster

Object = dict[str, Any]
RESOURCES: dict[str, GVR] = {"Service": SERVICES, "EndpointSlice": ENDPOINT_SLICES, "Node": NODES}
SETTINGS: Object = {
    "node_name": "node-1",
    "min_sync_period": 0.0,
    "check_period": 0.2,
    "healthz_listen": "127.0.0.1:0",
    "metrics_listen": "127.0.0.1:0",
    "cluster_cidrs": ["10.128.0.0/16", "fd01::/64"],
    "detect_local": "cluster-cidr",
}


async def apply(cluster: Cluster, obj: Object) -> None:
    resource = RESOURCES[obj["kind"]]
    metadata, status = obj["metadata"], obj.get("status")
    namespace = metadata.get("namespace", "")
    try:
        old = await cluster.client.get(resource, metadata["name"], namespace)
        made = await cluster.client.update(resource, {**old, **obj, "metadata": {**old["metadata"], **metadata}})
    except StatusError as error:
        if error.code != 404:
            raise
        made = await cluster.client.create(resource, obj, namespace)
    if status:
        await cluster.client.update(resource, {**made, "status": status}, subresource="status")


async def answer(cluster: Cluster, proxy: Proxy, line: str) -> Object:
    asked = json.loads(line)
    sent = proxy.metrics.transactions
    for obj in asked.get("apply", ()):
        await apply(cluster, obj)
    for obj in asked.get("delete", ()):
        await cluster.client.delete(RESOURCES[obj["kind"]], obj["metadata"]["name"], obj["metadata"]["namespace"])
    if "nft" in asked:
        await trio.run_process(["nft", "-f", "-"], stdin=asked["nft"].encode())
    if asked.get("wait"):
        with trio.move_on_after(30):
            while proxy.metrics.transactions == sent:  # noqa: ASYNC110 -- the kernel's state has no event
                await trio.sleep(0.01)
    else:
        await trio.sleep(0.05)  # the watches bring what was written
        for _ in range(100):  # however little the machine has let us run meanwhile
            await trio.lowlevel.checkpoint()
    await proxy.settled()
    return {"transactions": proxy.metrics.transactions - sent, "ports": proxy.ports}


def say(what: Object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(settings: Object) -> None:
    async with run_cluster(enable=["proxy-nftables"], settings={"proxy-nftables": SETTINGS | settings}) as cluster:
        proxy = cluster.kernel.find(Proxy)
        say({"ready": True})
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            say(await answer(cluster, proxy, line))


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
