"""A session with kr8s, whose async API runs on trio as it is: create, watch, patch, delete. Prints what the
watch saw. Run with a kubeconfig's path."""

import contextlib
import sys

import kr8s.asyncio
import trio
from kr8s.asyncio.objects import Pod


async def with_kr8s(kubeconfig: str) -> list[str]:
    """Returns what the watch saw."""
    api = await kr8s.asyncio.api(kubeconfig=kubeconfig)
    spec = {"containers": [{"name": "web", "image": "nginx"}]}
    pod = await Pod({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "solo"}, "spec": spec}, api=api)
    await pod.create()
    seen = []
    async with contextlib.aclosing(api.watch("pods", namespace="default")) as changes:
        async for kind, changed in changes:
            seen.append(f"{kind} {changed.status.phase}")
            if changed.status.phase == "Running":
                break
    await pod.patch({"metadata": {"labels": {"tier": "front"}}})
    await pod.refresh()
    assert pod.labels["tier"] == "front"
    await pod.delete()
    await pod.wait("delete", timeout=30)
    assert not await pod.exists()
    return seen


if __name__ == "__main__":
    print("\n".join(trio.run(with_kr8s, sys.argv[1])))  # noqa: T201 -- read by the test
