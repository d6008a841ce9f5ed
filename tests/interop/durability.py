"""Kill the server in the middle of a thousand writes, and see what it promised: a round for the tests
and, twenty times over, for ``make soak``."""

import ssl
from pathlib import Path

import httpx
import trio
import yaml

from kubrick_testing import RealCluster

WRITES = 1000
WRITERS = 32
KILL_AFTER = 300


def connection(kubeconfig: Path) -> httpx.AsyncClient:
    """An HTTPS client as the kubeconfig says."""
    import base64

    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    for name in ("client-certificate-data", "client-key-data"):
        (kubeconfig.parent / name).write_bytes(base64.b64decode(user[name]))
    context.load_cert_chain(kubeconfig.parent / "client-certificate-data", kubeconfig.parent / "client-key-data")
    limits = httpx.Limits(max_connections=WRITERS + 1)
    return httpx.AsyncClient(base_url=cluster["server"], verify=context, limits=limits, timeout=30)


async def one_round(data_dir: Path, number: int) -> int:
    """Returns how many writes were acknowledged before the kill. Asserts that all of them are there
    afterwards, and that a watch resumed from before them sees every one exactly once and in order."""
    cluster = RealCluster(data_dir, ("--profile", "api"))
    await cluster.start()
    acknowledged: dict[str, int] = {}
    path = "/api/v1/namespaces/default/configmaps"
    async with connection(cluster.kubeconfig) as api:
        start = (await api.get(path, params={"limit": 1})).json()["metadata"]["resourceVersion"]
        numbers = iter(range(WRITES))
        killed = trio.Event()

        async def write() -> None:
            for n in numbers:
                name = f"round-{number}-{n}"
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": str(n)}}
                try:
                    answer = await api.post(path, json=body)
                except httpx.HTTPError:
                    return
                assert answer.status_code == 201, answer.text
                acknowledged[name] = int(answer.json()["metadata"]["resourceVersion"])
                if len(acknowledged) == KILL_AFTER + 17 * number:
                    killed.set()

        async with trio.open_nursery() as nursery:
            for _ in range(WRITERS):
                nursery.start_soon(write)
            await killed.wait()
            await cluster.kill()
    await cluster.start()
    try:
        async with connection(cluster.kubeconfig) as api:
            found = {i["metadata"]["name"]: i for i in (await api.get(path)).json()["items"]}
            for name, revision in acknowledged.items():
                assert int(found[name]["metadata"]["resourceVersion"]) == revision, name
            seen: list[tuple[str, int]] = []
            params = {"watch": "1", "resourceVersion": start, "timeoutSeconds": "3"}
            async with api.stream("GET", path, params=params) as stream:
                async for line in stream.aiter_lines():
                    event = httpx.Response(200, content=line).json()
                    assert event["type"] == "ADDED", line
                    metadata = event["object"]["metadata"]
                    seen.append((metadata["name"], int(metadata["resourceVersion"])))
                    if len(seen) == sum(name.startswith(f"round-{number}-") for name in found):
                        break
            assert [revision for _, revision in seen] == sorted({revision for _, revision in seen})
            assert dict(seen).items() >= acknowledged.items()
    finally:
        await cluster.stop()
    return len(acknowledged)
