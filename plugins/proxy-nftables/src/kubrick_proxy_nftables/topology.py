"""Which endpoints a node uses. Pure.

Source: CategorizeEndpoints of Kubernetes 1.36: the ready ones near enough; if there are none, those that
still serve while they terminate, wherever they are; the same among the node's own for Local policies.
"""

from collections.abc import Sequence

from attrs import frozen

from kubrick_proxy_nftables.services import Endpoint, ServicePort

ZONE = "topology.kubernetes.io/zone"


@frozen
class Node:
    """What the proxy knows of its node."""

    name: str = ""
    zone: str = ""
    addresses: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()


@frozen
class Usable:
    """The endpoints for the Cluster and for the Local policy, and whether the cluster has any at all."""

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    any: bool


def usable(port: ServicePort, endpoints: Sequence[Endpoint], node: Node) -> Usable:
    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    if port.uses_cluster:
        ready = [endpoint for endpoint in endpoints if endpoint.ready]
        cluster = tuple(near(ready, node)) or tuple(endpoint for endpoint in endpoints if endpoint.drains)
    if port.uses_local:
        own = [endpoint for endpoint in endpoints if endpoint.local]
        local = tuple(endpoint for endpoint in own if endpoint.ready) or tuple(e for e in own if e.drains)
    return Usable(cluster, local, bool(cluster) or any(e.ready or e.drains for e in endpoints))


def near(ready: Sequence[Endpoint], node: Node) -> Sequence[Endpoint]:
    """The ready endpoints meant for this node, else for its zone, else all. Hints count only when every
    ready endpoint has them and one is for here."""
    if all(endpoint.nodes for endpoint in ready):
        here = [endpoint for endpoint in ready if node.name in endpoint.nodes]
        if here:
            return here
    if node.zone and all(endpoint.zones for endpoint in ready):
        here = [endpoint for endpoint in ready if node.zone in endpoint.zones]
        if here:
            return here
    return ready
