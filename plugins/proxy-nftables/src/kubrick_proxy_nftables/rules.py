"""What each service, the node and the guard put into the table. Pure.

The layout is kube-proxy's, with one difference. There, every service has a chain with its endpoints in an
anonymous map, and the kernel and libnftables take longer per chain and map the more there are (10,000
services: 15 s, and 60 ms and more for the next one). Here a port that is reached by its cluster IP alone, and
remembers no clients, has no chain: its endpoints are numbered in the map ``tcp-endpoints``, and it shares the
chain ``pick-tcp-N`` with all others that have N endpoints. Everything else has the chains that kube-proxy gives it:

- ``service-…`` and ``local-…`` choose among the endpoints of the Cluster and the Local policy;
- ``external-…`` is where node ports, external addresses and load balancers' addresses enter;
- ``firewall-…`` drops what source ranges don't allow, before any translation;
- ``endpoint-…`` remembers the client and translates (session affinity only).

Addresses without endpoints are rejected or dropped by the maps ``no-endpoint-…``, and what no service claims in
the cluster's service ranges is rejected by `cluster-ips-check`, which the guard installs before all else.
"""

from base64 import b32encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from ipaddress import ip_address, ip_network

from attrs import field, frozen

from kubrick_proxy_nftables.families import Family
from kubrick_proxy_nftables.ruleset import Part
from kubrick_proxy_nftables.services import PROTOCOLS, Endpoint, ServicePort
from kubrick_proxy_nftables.topology import Node, Usable

GUARD = "guard"
NODE = "node"
"""Owners of the parts that are no service's (those have a slash)."""

NAME_LIMIT = 240
COMMENT_LIMIT = 120
REJECT = "goto reject-chain"
DROP = "drop"
NEW = "ct state new"
PORTS = "meta l4proto . th dport"
PRIMARY = "primary"


@frozen
class Policy:
    """How to translate, apart from the services: what the settings say for one address family.

    `pod_ranges` tells the node's own pods from everybody else; none means that nobody is told apart.
    `node_port_addresses` is "primary" (the node's own) or ranges; with everything it is any local address.
    """

    pod_ranges: tuple[str, ...] = ()
    node_port_addresses: tuple[str, ...] = (PRIMARY,)
    masquerade_all: bool = False
    masquerade_bit: int = 14

    @property
    def mark(self) -> str:
        return f"0x{1 << self.masquerade_bit:x}"


def guard_part(family: Family, service_ranges: Sequence[str]) -> Part:
    """Service addresses that nobody answers for are rejected, from before the first service."""
    part = Part()
    address = f"{family.address_type} . inet_proto . inet_service"
    daddr = f"{family.nft} daddr"
    part.declare("cluster-ips", "set", f"type {family.address_type} ;")
    part.declare("service-cidrs", "set", f"type {family.address_type} ; flags interval ;")
    part.declare("no-endpoint-services", "map", f"type {address} : verdict ;")
    for network in family.networks(service_ranges):
        part.element("service-cidrs", network)
    part.chain("reject-chain", "meta l4proto tcp reject with tcp reset", "reject")
    part.chain("service-endpoints-check", f"{daddr} . {PORTS} vmap @no-endpoint-services")
    part.chain("cluster-ips-check", f"{daddr} @cluster-ips {REJECT}", f"{daddr} @service-cidrs {REJECT}")
    checks = (f"{NEW} jump service-endpoints-check", f"{NEW} jump cluster-ips-check")
    part.chain("filter-forward", *checks, hook="type filter hook forward priority 0 ;")
    part.chain("filter-output", *checks, hook="type filter hook output priority 0 ;")
    return part


def node_part(family: Family, node: Node, policy: Policy) -> Part:
    """The rest of what is there without any service: where packets enter, and masquerading."""
    part = Part()
    ip, one = family.nft, family.address_type
    addressed = f"{one} . inet_proto . inet_service"
    part.declare("hairpin-connections", "set", f"type {one} . {addressed} ;")
    part.declare("service-ips", "map", f"type {addressed} : verdict ;")
    part.declare("firewall-ips", "map", f"type {addressed} : verdict ;")
    part.declare("service-nodeports", "map", "type inet_proto . inet_service : verdict ;")
    part.declare("no-endpoint-nodeports", "map", "type inet_proto . inet_service : verdict ;")
    for protocol in PROTOCOLS.values():
        # A map per protocol: libnftables 1.0.6 takes "th dport" for a conflict when it meets the map again.
        target = f"{ip} daddr . {protocol} dport"
        part.declare(f"{protocol}-endpoints", "map", f"typeof {target} . numgen random mod 2 : {target} ;")

    here = f"fib daddr type local {ip} daddr != {family.loopback}"
    if family.everything not in family.networks(policy.node_port_addresses):
        part.declare("nodeport-ips", "set", f"type {one} ; flags interval ;")
        ranges = (*policy.node_port_addresses, *(node.addresses if PRIMARY in policy.node_port_addresses else ()))
        for network in family.networks(ranges):
            part.element("nodeport-ips", network)
        here += f" {ip} daddr @nodeport-ips"

    mark = f"meta mark set meta mark | {policy.mark}"
    services = [f"{ip} daddr . {PORTS} vmap @service-ips", f"{here} {PORTS} vmap @service-nodeports"]
    if policy.masquerade_all:
        services.insert(0, f"{ip} daddr @cluster-ips {mark}")
    elif policy.pod_ranges:
        services.insert(0, f"{ip} daddr @cluster-ips {ip} saddr != {among(policy.pod_ranges)} {mark}")
    part.chain("services", *services)
    part.chain("firewall-check", f"{ip} daddr . {PORTS} vmap @firewall-ips")
    part.chain("nodeport-endpoints-check", f"{here} {PORTS} vmap @no-endpoint-nodeports")
    part.chain(
        "masquerading",
        f"meta mark & {policy.mark} != 0 meta mark set meta mark ^ {policy.mark} masquerade fully-random",
        f"ct status dnat {ip} saddr . {ip} daddr . {PORTS} @hairpin-connections masquerade fully-random",
    )

    firewall = f"{NEW} jump firewall-check"
    part.chain("filter-prerouting-pre-dnat", firewall, hook="type filter hook prerouting priority -110 ;")
    part.chain("filter-output-pre-dnat", firewall, hook="type filter hook output priority -110 ;")
    checks = (f"{NEW} jump nodeport-endpoints-check", f"{NEW} jump service-endpoints-check")
    part.chain("filter-input", *checks, hook="type filter hook input priority 0 ;")
    part.chain("nat-prerouting", "jump services", hook="type nat hook prerouting priority -100 ;")
    part.chain("nat-output", "jump services", hook="type nat hook output priority -100 ;")
    part.chain("nat-postrouting", "jump masquerading", hook="type nat hook postrouting priority 100 ;")
    return part


def service_part(family: Family, ports: Iterable[tuple[ServicePort, Usable]], node: Node, policy: Policy) -> Part:
    """Everything one service needs in one family."""
    part = Part()
    for port, found in ports:
        ServiceCompiler(family, port, found, node, policy, part).compile()
    return part


@frozen
class ServiceCompiler:
    """Puts one service port into `part`."""

    family: Family
    port: ServicePort
    usable: Usable
    node: Node
    policy: Policy
    part: Part
    comment: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "comment", self.port.title[:COMMENT_LIMIT])

    def compile(self) -> None:
        port, found = self.port, self.usable
        internal = found.local if port.internal_local else found.cluster
        self.part.element("cluster-ips", port.cluster_ip)
        for endpoint in {*found.cluster, *found.local}:
            if endpoint.local:
                pair = f"{endpoint.address} . {endpoint.address} . {port.protocol} . {endpoint.port}"
                self.part.element("hairpin-connections", pair)
        key = f"{port.cluster_ip} . {port.protocol} . {port.port}"
        if not internal:
            self.part.element("no-endpoint-services", key, DROP if found.any else REJECT, self.comment)
        elif port.affinity or port.is_external:
            chosen = self.local() if port.internal_local else self.cluster()
            self.part.element("service-ips", key, f"goto {chosen}", self.comment)
        else:
            self.shared(internal)
        if port.is_external:
            self.external()

    def shared(self, endpoints: Sequence[Endpoint]) -> None:
        """The common case: numbered endpoints and a chain for everybody with as many."""
        port, count, ip = self.port, len(endpoints), self.family.nft
        container, chain = f"{port.protocol}-endpoints", f"pick-{port.protocol}-{count}"
        for number, endpoint in enumerate(endpoints):
            key = f"{port.cluster_ip} . {port.port} . {number}"
            self.part.element(container, key, f"{endpoint.address} . {endpoint.port}")
        lookup = f"{ip} daddr . {port.protocol} dport . numgen random mod {count} map @{container}"
        self.part.chain(chain, f"meta l4proto {port.protocol} dnat {ip} addr . port to {lookup}")
        key = f"{port.cluster_ip} . {port.protocol} . {port.port}"
        self.part.element("service-ips", key, f"goto {chain}", self.comment)

    def cluster(self) -> str:
        return self.choice("service", self.usable.cluster)

    def local(self) -> str:
        return self.choice("local", self.usable.local)

    def choice(self, prefix: str, endpoints: Sequence[Endpoint]) -> str:
        """A chain that translates to one of `endpoints`; its name."""
        name = named(prefix, self.port.path)
        port, ip = self.port, self.family.nft
        if port.affinity:
            chains = [self.remembering(endpoint) for endpoint in endpoints]
            verdicts = ", ".join(f"{number} : goto {chain}" for number, (chain, _) in enumerate(chains))
            returning = [f"{ip} saddr @{clients} goto {chain}" for chain, clients in chains]
            self.part.chain(name, *returning, f"numgen random mod {len(chains)} vmap {{ {verdicts} }}")
        else:
            targets = ", ".join(f"{number} : {e.address} . {e.port}" for number, e in enumerate(endpoints))
            choose = f"numgen random mod {len(endpoints)} map {{ {targets} }}"
            self.part.chain(name, f"meta l4proto {port.protocol} dnat {ip} addr . port to {choose}")
        return name

    def remembering(self, endpoint: Endpoint) -> tuple[str, str]:
        """A chain that notes the client and translates to `endpoint`, and the set of its clients."""
        port, family = self.port, self.family
        path = f"{port.path}__{endpoint.address.replace(':', '.')}/{endpoint.port}"
        chain = named("endpoint", path)
        clients = named("affinity", path, f"{port.affinity}")
        timeout = f"type {family.address_type} ; flags dynamic,timeout ; timeout {port.affinity}s ;"
        self.part.declare(clients, "set", timeout)
        self.part.chain(
            chain,
            f"update @{clients} {{ {family.nft} saddr }}",
            f"meta l4proto {port.protocol} dnat to {family.joined(endpoint.address, endpoint.port)}",
        )
        return chain, clients

    def external(self) -> None:
        """Node port, external addresses, load balancer's addresses."""
        port, found = self.port, self.usable
        chain = self.entrance() if found.any else ""
        dead = ""
        if not found.any:
            dead = REJECT
        elif not (found.local if port.external_local else found.cluster):
            dead = DROP
        for address in dict.fromkeys((*port.external_ips, *port.vips)):
            key = f"{address} . {port.protocol} . {port.port}"
            self.admit("service-ips", "no-endpoint-services", key, chain, dead)
        if port.node_port:
            key = f"{port.protocol} . {port.node_port}"
            self.admit("service-nodeports", "no-endpoint-nodeports", key, chain, dead)
        if port.vips and port.source_ranges:
            self.firewall()

    def admit(self, live: str, dead: str, key: str, chain: str, verdict: str) -> None:
        """Under a Local policy both may be: the node's own pods go on where others are dropped."""
        if chain:
            self.part.element(live, key, f"goto {chain}", self.comment)
        if verdict:
            self.part.element(dead, key, verdict, self.comment)

    def entrance(self) -> str:
        """The chain of traffic from outside. The Local policy keeps its source address and its endpoints on
        this node; the node's own pods and the node itself may use the whole cluster all the same."""
        port, found, ip = self.port, self.usable, self.family.nft
        mark = f"meta mark set meta mark | {self.policy.mark}"
        anywhere = self.cluster()
        rules = [f"{mark} goto {anywhere}"]
        if port.external_local:
            rules = [f"fib saddr type local {rules[0]}"]
            if self.policy.pod_ranges:
                rules.insert(0, f"{ip} saddr {among(self.policy.pod_ranges)} goto {anywhere}")
            if found.local:
                rules.append(f"goto {self.local()}")
        name = named("external", port.path)
        self.part.chain(name, *rules)
        return name

    def firewall(self) -> None:
        """Only the source ranges reach the load balancer's addresses. A node that is allowed may come back
        from such an address to itself."""
        port, family = self.port, self.family
        allowed = port.source_ranges
        if any(ip_address(own) in ip_network(network) for own in self.node.addresses for network in allowed):
            allowed = family.networks((*allowed, *port.vips))
        name = named("firewall", port.path)
        self.part.chain(name, f"{family.nft} saddr != {among(allowed)} drop")
        for vip in port.vips:
            self.part.element("firewall-ips", f"{vip} . {port.protocol} . {port.port}", f"goto {name}", self.comment)


def among(networks: Sequence[str]) -> str:
    """One range, or an anonymous set of them."""
    return networks[0] if len(networks) == 1 else f"{{ {', '.join(networks)} }}"


def named(prefix: str, path: str, salt: str = "") -> str:
    """A chain's or set's name: unique by its hash, readable, and short enough for the kernel."""
    digest = b32encode(sha256((path + salt).encode()).digest())[:8].decode()
    text = f"{digest}-{path}"
    return f"{prefix}-{text if len(text) <= NAME_LIMIT - 20 else text[: NAME_LIMIT - 23] + '...'}"
