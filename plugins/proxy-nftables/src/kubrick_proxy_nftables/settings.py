"""What a user may set about the proxy, and how that becomes a policy per address family."""

import os
import socket
from typing import Literal

from attrs import frozen

from kubrick_kernel import ConfigurationError, Kernel
from kubrick_proxy_nftables.families import FAMILIES, IPV4, IPV6, Family
from kubrick_proxy_nftables.rules import PRIMARY, Policy
from kubrick_proxy_nftables.topology import Node

SERVICE_RANGE = "10.96.0.0/16"
IPV6_HERE = "/proc/net/if_inet6"


@frozen
class Settings:
    """The proxy of one node.

    `node_name` is the machine's host name unless given. `service_cidrs` are the ranges in which addresses without a
    service are rejected: those the API server of this program gives out, unless given; ServiceCIDR objects add to
    them. `nodeport_addresses` says where node ports answer: "primary" (the node's own addresses) or ranges.
    `detect_local` says how the node's own pods are told apart: by the node's pod ranges, by `cluster_cidrs`, or not.
    Times are in seconds; `min_sync_period` is shorter than kube-proxy's second, because a sync costs milliseconds
    here, and grows with what one takes. An empty listen address switches that server off. With `leave_rules` the
    rules stay when the program ends, as they do where the node keeps its pods.
    """

    node_name: str = ""
    ip_families: tuple[Literal["IPv4", "IPv6"], ...] = ("IPv4", "IPv6")
    service_cidrs: tuple[str, ...] = ()
    nodeport_addresses: tuple[str, ...] = (PRIMARY,)
    detect_local: Literal["node-cidr", "cluster-cidr", "none"] = "node-cidr"
    cluster_cidrs: tuple[str, ...] = ()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    min_sync_period: float = 0.1
    check_period: float = 1.0
    full_resync_period: float = 3600.0
    healthz_listen: str = "127.0.0.1:10256"
    metrics_listen: str = "127.0.0.1:10249"
    health_check_address: str = "0.0.0.0"  # noqa: S104 -- load balancers ask from outside
    leave_rules: bool = False

    def families(self) -> tuple[Family, ...]:
        """The families wanted, but IPv6 only where this kernel has it."""
        has_ipv6 = os.path.exists(IPV6_HERE)
        return tuple(f for f in FAMILIES if f.label in self.ip_families and (f is IPV4 or has_ipv6))

    def node(self) -> str:
        return self.node_name or socket.gethostname().lower()

    def policy(self, family: Family, node: Node) -> Policy:
        ranges: tuple[str, ...] = ()
        if self.detect_local == "node-cidr":
            ranges = node.pod_cidrs
        elif self.detect_local == "cluster-cidr":
            ranges = self.cluster_cidrs
        return Policy(family.networks(ranges), self.nodeport_addresses, self.masquerade_all, self.masquerade_bit)

    def service_ranges(self, kernel: Kernel) -> tuple[str, ...]:
        """What is known of the service ranges before there is an API server to ask."""
        if self.service_cidrs:
            return self.service_cidrs
        try:
            own = kernel.settings("apiserver").service_cluster_ip_range
        except (LookupError, AttributeError):
            return (SERVICE_RANGE,)
        return tuple(str(own).split(","))

    def leaves_rules(self, kernel: Kernel) -> bool:
        """Pods that are kept are reached by their services still."""
        try:
            kept = bool(kernel.settings("node").keep_pods)
        except (LookupError, AttributeError):
            kept = False
        return (kept or self.leave_rules) and not kernel.sweeping

    def check(self) -> None:
        """Raises ConfigurationError for what the types can't tell."""
        for name in ("service_cidrs", "nodeport_addresses", "cluster_cidrs"):
            for text in getattr(self, name):
                known = name == "nodeport_addresses" and text == PRIMARY
                if not known and not (IPV4.networks([text]) or IPV6.networks([text])):
                    raise ConfigurationError(
                        f"[plugins.proxy-nftables] {name}: {text!r} is no address range; it must be like 10.0.0.0/8"
                    )
        if not 0 <= self.masquerade_bit <= 31:
            raise ConfigurationError("[plugins.proxy-nftables] masquerade_bit must be 0 to 31")
