"""Which subresource connects how. The ways are made when the first one is asked for."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from kubrick_api.storage import Call
from kubrick_apiserver.connect.log import PodLog
from kubrick_apiserver.connect.nodes import Nodes
from kubrick_apiserver.connect.proxy import Proxy
from kubrick_apiserver.connect.streams import PodStreams
from kubrick_apiserver.registry import Registry
from kubrick_apiserver.web import Request, Response

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

Connect = Callable[[Request, Call], Awaitable[Response]]


def connections(kernel: "Kernel", registry: Registry) -> dict[tuple[str, str], Connect]:
    """By resource and subresource."""
    nodes = Nodes(kernel, registry)
    streams = PodStreams(registry, nodes)
    proxy = Proxy(registry, nodes)
    return {
        ("pods", "log"): PodLog(registry, nodes),
        ("pods", "exec"): streams.exec,
        ("pods", "attach"): streams.attach,
        ("pods", "portforward"): streams.port_forward,
        ("pods", "proxy"): proxy.pods,
        ("services", "proxy"): proxy.services,
        ("nodes", "proxy"): proxy.nodes,
    }
