"""DefaultBinder: binds a pod to its node through the API's pods/binding subresource."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_api_core import PODS
from kubrick_kernel import hookimpl
from kubrick_scheduler import Handle, Plugin, PodInfo

if TYPE_CHECKING:
    from kubrick_client import Client
    from kubrick_kernel import Kernel


class DefaultBinder:
    name = "DefaultBinder"

    def __init__(self) -> None:
        self._client: Client | None = None

    def setup(self, handle: Handle) -> None:
        self._client = handle.client

    async def bind(self, pod: PodInfo, node: str) -> bool:
        assert self._client is not None, "setup comes before bind"
        binding = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
            "target": {"kind": "Node", "name": node},
        }
        await self._client.create(PODS, binding, pod.namespace, subresource="binding", name=pod.name)
        return True


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    return (DefaultBinder(),)
