from types import SimpleNamespace

from kubrick_api_core import PODS
from kubrick_client import Client
from kubrick_scheduler import PodInfo
from kubrick_scheduler.testing import pod
from kubrick_scheduler_default_binder import DefaultBinder


class Recording:
    """A transport that keeps the calls it gets."""

    def __init__(self):
        self.calls = []

    async def call(self, call):
        self.calls.append(call)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}


async def test_it_creates_a_binding_of_exactly_this_pod_to_the_node():
    transport = Recording()
    plugin = DefaultBinder()
    plugin.setup(SimpleNamespace(client=Client(transport)))
    assert await plugin.bind(PodInfo(pod("web")), "node-1")
    (call,) = transport.calls
    assert (call.verb, call.resource, call.namespace, call.name) == ("create", PODS, "default", "web")
    assert call.subresource == "binding"
    assert call.body["target"] == {"kind": "Node", "name": "node-1"}
    assert call.body["metadata"] == {"namespace": "default", "name": "web", "uid": "uid-of-web"}
