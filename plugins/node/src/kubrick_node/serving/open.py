"""What a real node serves: its port opened before the node registers, its certificate from the cluster's authority.

The heavier parts (WebSockets, SPDY) are imported when the first request comes for them.
"""

import socket
from typing import TYPE_CHECKING, Any

import trio
from attrs import frozen

from kubrick_http.certificates import Certificates
from kubrick_http.listener import open_socket
from kubrick_kernel import Kernel, get_logger
from kubrick_node import machine as facts
from kubrick_node.register import LEASE_SECONDS, REPORT_SECONDS, STATUS_SECONDS
from kubrick_node.runtime import ContainerRuntime
from kubrick_node.settings import Settings

if TYPE_CHECKING:
    from kubrick_client import Client
    from kubrick_node.agent import NodeAgent

log = get_logger("node.server")


def address_of(settings: Settings) -> str:
    """The address the node is reached by."""
    return settings.address or facts.own_address()


def configuration(settings: Settings, port: int) -> dict[str, Any]:
    """The settings in the kubelet's words, as /configz shows them."""
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": address_of(settings),
        "port": port,
        "maxPods": settings.pods,
        "podCIDR": settings.pod_cidr,
        "clusterDNS": list(settings.cluster_dns),
        "clusterDomain": settings.cluster_domain,
        "resolvConf": settings.resolv_conf,
        "staticPodPath": settings.static_pods,
        "serializeImagePulls": settings.image_pulls == 1,
        "maxParallelImagePulls": settings.image_pulls or None,
        "allowedUnsafeSysctls": list(settings.allowed_sysctls),
        "crashLoopBackOff": {"maxContainerRestartPeriod": f"{settings.max_container_restart_period:g}s"},
        "nodeStatusUpdateFrequency": f"{STATUS_SECONDS:g}s",
        "nodeStatusReportFrequency": f"{REPORT_SECONDS:g}s",
        "nodeLeaseDurationSeconds": LEASE_SECONDS,
    }


@frozen
class Serving:
    """An open port that is not served yet."""

    kernel: Kernel
    settings: Settings
    node: str
    socket: socket.socket

    @classmethod
    def open(cls, kernel: Kernel, settings: Settings, node: str) -> "Serving | None":
        """None where nobody gives out certificates: an API server that doesn't listen. Raises ConfigurationError."""
        if not kernel.has(Certificates):
            log.info("the agent does not serve: there is no certificate for it")
            return None
        address = address_of(settings)
        listen = f"[{address}]:{settings.port}" if ":" in address else f"{address}:{settings.port}"
        return cls(kernel, settings, node, open_socket(listen, "node", "address and port in [plugins.node]"))

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    async def run(
        self,
        agent: "NodeAgent",
        runtime: ContainerRuntime,
        client: "Client",
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled."""
        from kubrick_node.serving.access import AgentAccess
        from kubrick_node.serving.paths import AgentPaths
        from kubrick_node.serving.server import AgentServer
        from kubrick_node.serving.service import PodService

        clock = self.kernel.clock
        names = {address_of(self.settings), self.node, "127.0.0.1", "localhost"}
        certificates = self.kernel.find(Certificates)
        context = certificates.serving("kubelet", f"system:node:{self.node}", "system:nodes", names)
        service = PodService(lambda: agent.pods, runtime, clock)
        paths = AgentPaths(self.node, service, clock, configuration(self.settings, self.port))
        server = AgentServer(self.socket, context, AgentAccess(self.node, client), paths, clock)
        await server.run(task_status)
