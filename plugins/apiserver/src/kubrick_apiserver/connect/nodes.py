"""The agent of a node: in this process when somebody offers it, else over HTTPS where its status says."""

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubrick_api.errors import StatusError, internal
from kubrick_api_core import NODES
from kubrick_api_core.agents import Agent, NodeConnector
from kubrick_apiserver.connect.https import HttpsAgent
from kubrick_apiserver.registry import Registry
from kubrick_http.client import Address

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

Object = dict[str, Any]
PREFERRED = ("InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS", "Hostname")


class Nodes:
    """Finds agents."""

    def __init__(self, kernel: "Kernel", registry: Registry) -> None:
        self._kernel = kernel
        self._registry = registry
        self._context: ssl.SSLContext | None = None

    def is_local(self, name: str) -> bool:
        """Whether the node's agent is in this process: then nothing need listen at its pods' addresses."""
        try:
            return self._local(name) is not None
        except StatusError:
            return True

    def agent(self, name: str) -> Agent:
        """Raises StatusError when there is no way to it."""
        return self._local(name) or HttpsAgent(self.address(name))

    def _local(self, name: str) -> Agent | None:
        return self._kernel.find(NodeConnector).agent(name) if self._kernel.has(NodeConnector) else None

    def address(self, name: str, port: int = 0) -> Address:
        """Where the node's agent listens (or something else of that node, at `port`)."""
        node = self._registry.get(NODES, "", name)
        if node is None:
            raise internal(f"error dialing backend: node {name!r} not found")
        status: Mapping[str, Any] = node.get("status") or {}
        own = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or 0
        addresses = {each["type"]: each["address"] for each in reversed(status.get("addresses") or ())}
        host = next((addresses[kind] for kind in PREFERRED if kind in addresses), None)
        if host is None:
            raise internal(f"error dialing backend: no preferred addresses found; known addresses: {[*addresses]}")
        if not (port or own):
            raise internal(f"error dialing backend: the agent of node {name!r} does not listen")
        return Address(host, port or own, self._tls())

    def _tls(self) -> ssl.SSLContext:
        """How this server shows itself to agents, made once."""
        if self._context is None:
            from kubrick_apiserver import pki, tls

            directory = self._kernel.data_dir
            if directory is None or not (directory / "pki" / "ca.crt").exists():
                raise internal("error dialing backend: this server has no certificate to show (it does not listen)")
            self._context = tls.agent_client_context(pki.at(directory))
        return self._context
