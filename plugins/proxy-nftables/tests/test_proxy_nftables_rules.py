"""What a service compiles to, as text a person can read."""

from collections.abc import Sequence
from typing import Any

from kubrick_proxy_nftables.compiler import compile_service
from kubrick_proxy_nftables.families import IPV4, IPV6, Family
from kubrick_proxy_nftables.rules import GUARD, NODE, Policy, guard_part, named, node_part
from kubrick_proxy_nftables.ruleset import Ruleset
from kubrick_proxy_nftables.testing import FakeNft, Packet, Tracer
from kubrick_proxy_nftables.topology import Node

Object = dict[str, Any]

HERE = Node("node-1", "zone-a", ("172.16.0.2", "fd00::2"), ("10.128.1.0/24", "fd01::/64"))
BASE = """\
table ip kube-proxy
  set cluster-ips { type ipv4_addr ; }
  map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
  set hairpin-connections { type ipv4_addr . ipv4_addr . inet_proto . inet_service ; }
  map no-endpoint-nodeports { type inet_proto . inet_service : verdict ; }
  map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; }
  set nodeport-ips { type ipv4_addr ; flags interval ; }
    172.16.0.2/32
  map sctp-endpoints { typeof ip daddr . sctp dport . numgen random mod 2 : ip daddr . sctp dport ; }
  set service-cidrs { type ipv4_addr ; flags interval ; }
    10.96.0.0/16
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
  map service-nodeports { type inet_proto . inet_service : verdict ; }
  map tcp-endpoints { typeof ip daddr . tcp dport . numgen random mod 2 : ip daddr . tcp dport ; }
  map udp-endpoints { typeof ip daddr . udp dport . numgen random mod 2 : ip daddr . udp dport ; }
  chain cluster-ips-check
    ip daddr @cluster-ips goto reject-chain
    ip daddr @service-cidrs goto reject-chain
  chain filter-forward { type filter hook forward priority 0 ; }
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  chain filter-input { type filter hook input priority 0 ; }
    ct state new jump nodeport-endpoints-check
    ct state new jump service-endpoints-check
  chain filter-output { type filter hook output priority 0 ; }
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  chain filter-output-pre-dnat { type filter hook output priority -110 ; }
    ct state new jump firewall-check
  chain filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }
    ct state new jump firewall-check
  chain firewall-check
    ip daddr . meta l4proto . th dport vmap @firewall-ips
  chain masquerading
    meta mark & 0x4000 != 0 meta mark set meta mark ^ 0x4000 masquerade fully-random
    ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
  chain nat-output { type nat hook output priority -100 ; }
    jump services
  chain nat-postrouting { type nat hook postrouting priority 100 ; }
    jump masquerading
  chain nat-prerouting { type nat hook prerouting priority -100 ; }
    jump services
  chain nodeport-endpoints-check
    fib daddr type local ip daddr != 127.0.0.0/8 ip daddr @nodeport-ips \
meta l4proto . th dport vmap @no-endpoint-nodeports
  chain reject-chain
    meta l4proto tcp reject with tcp reset
    reject
  chain service-endpoints-check
    ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  chain services
    ip daddr @cluster-ips ip saddr != 10.128.1.0/24 meta mark set meta mark | 0x4000
    ip daddr . meta l4proto . th dport vmap @service-ips
    fib daddr type local ip daddr != 127.0.0.0/8 ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
"""


def service(name: str = "web", **spec: Any) -> Object:
    status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in spec.pop("vips", ())]}}
    base: Object = {
        "type": "ClusterIP",
        "clusterIP": "10.96.0.10",
        "clusterIPs": ["10.96.0.10"],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }
    return {"metadata": {"namespace": "shop", "name": name}, "spec": base | spec, "status": status}


def endpoint(address: str, node: str = "node-2", **fields: Any) -> Object:
    return {"addresses": [address], "nodeName": node, "conditions": {"ready": True}, **fields}


def slice_of(*endpoints: Object, **fields: Any) -> Object:
    base: Object = {
        "metadata": {"namespace": "shop", "name": "web-1"},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }
    return base | fields


def compiled(
    service: Object, *slices: Object, family: Family = IPV4, pods: Sequence[str] = HERE.pod_cidrs
) -> tuple[str, FakeNft]:
    """What the service alone adds, as commands, and a kernel that has it."""
    policy = Policy(family.networks(pods))
    ruleset, nft = Ruleset(family), FakeNft()
    ruleset.update({GUARD: guard_part(family, ["10.96.0.0/16"]), NODE: node_part(family, HERE, policy)}, 0)
    nft.run(ruleset.scratch())
    part = compile_service(service, slices, HERE, {family: policy}).parts.get(family)
    commands = ruleset.update({"shop/web": part}, 0)
    nft.run(commands)
    return commands, nft


def test_without_services_the_table_rejects_the_service_range() -> None:
    ruleset, nft = Ruleset(IPV4), FakeNft()
    parts = {GUARD: guard_part(IPV4, ["10.96.0.0/16"]), NODE: node_part(IPV4, HERE, Policy(("10.128.1.0/24",)))}
    ruleset.update(parts, 0)
    nft.run(ruleset.scratch())
    assert nft.listing() == BASE


def test_a_plain_service_has_numbered_endpoints_and_shares_its_chain() -> None:
    commands, _ = compiled(service(), slice_of(endpoint("10.128.2.5"), endpoint("10.128.1.7", "node-1")))
    assert commands == (
        "add chain ip kube-proxy pick-tcp-2\n"
        "add rule ip kube-proxy pick-tcp-2 meta l4proto tcp dnat ip addr . port to "
        "ip daddr . tcp dport . numgen random mod 2 map @tcp-endpoints\n"
        "add element ip kube-proxy cluster-ips { 10.96.0.10 }\n"
        "add element ip kube-proxy hairpin-connections { 10.128.1.7 . 10.128.1.7 . tcp . 8080 }\n"
        "add element ip kube-proxy service-ips "
        '{ 10.96.0.10 . tcp . 80 comment "shop/web:http" : goto pick-tcp-2 }\n'
        "add element ip kube-proxy tcp-endpoints {\n"
        "    10.96.0.10 . 80 . 0 : 10.128.1.7 . 8080,\n"
        "    10.96.0.10 . 80 . 1 : 10.128.2.5 . 8080\n"
        "}\n"
    )


def test_a_node_port_enters_by_an_external_chain() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    commands, _ = compiled(service(type="NodePort", ports=ports), slice_of(endpoint("10.128.2.5")))
    external, cluster = named("external", "shop/web/tcp/http"), named("service", "shop/web/tcp/http")
    assert commands == (
        f"add chain ip kube-proxy {external}\n"
        f"add chain ip kube-proxy {cluster}\n"
        f"add rule ip kube-proxy {external} meta mark set meta mark | 0x4000 goto {cluster}\n"
        f"add rule ip kube-proxy {cluster} meta l4proto tcp dnat ip addr . port to "
        "numgen random mod 1 map { 0 : 10.128.2.5 . 8080 }\n"
        "add element ip kube-proxy cluster-ips { 10.96.0.10 }\n"
        "add element ip kube-proxy service-ips "
        f'{{ 10.96.0.10 . tcp . 80 comment "shop/web:http" : goto {cluster} }}\n'
        f'add element ip kube-proxy service-nodeports {{ tcp . 30080 comment "shop/web:http" : goto {external} }}\n'
    )


def test_the_local_policy_keeps_the_nodes_own_traffic_free() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    spec: Object = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "vips": ["203.0.113.9"], "ports": ports}
    web = service(**spec, loadBalancerSourceRanges=["198.51.100.0/24", "198.51.100.7/32", "172.16.0.0/12"])
    _, nft = compiled(web, slice_of(endpoint("10.128.2.5"), endpoint("10.128.1.7", "node-1")))
    chains = nft.tables["ip", "kube-proxy"].chains
    cluster, local = named("service", "shop/web/tcp/http"), named("local", "shop/web/tcp/http")
    assert chains[named("external", "shop/web/tcp/http")].rules == [
        f"ip saddr 10.128.1.0/24 goto {cluster}",
        f"fib saddr type local meta mark set meta mark | 0x4000 goto {cluster}",
        f"goto {local}",
    ]
    assert chains[local].rules == [
        "meta l4proto tcp dnat ip addr . port to numgen random mod 1 map { 0 : 10.128.1.7 . 8080 }"
    ]
    assert chains[named("firewall", "shop/web/tcp/http")].rules == [
        "ip saddr != { 172.16.0.0/12, 198.51.100.0/24, 203.0.113.9/32 } drop"
    ]


def test_affinity_remembers_clients_per_endpoint() -> None:
    affinity: Object = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90}}}
    _, nft = compiled(service(**affinity), slice_of(endpoint("10.128.2.5"), endpoint("10.128.2.6")))
    table = nft.tables["ip", "kube-proxy"]
    paths = ["shop/web/tcp/http__10.128.2.5/8080", "shop/web/tcp/http__10.128.2.6/8080"]
    first, second = (named("endpoint", path) for path in paths)
    its, others = (named("affinity", path, "90") for path in paths)
    assert table.sets[its].declaration == "type ipv4_addr ; flags dynamic,timeout ; timeout 90s ;"
    assert table.chains[named("service", "shop/web/tcp/http")].rules == [
        f"ip saddr @{its} goto {first}",
        f"ip saddr @{others} goto {second}",
        f"numgen random mod 2 vmap {{ 0 : goto {first}, 1 : goto {second} }}",
    ]
    assert table.chains[first].rules == [f"update @{its} {{ ip saddr }}", "meta l4proto tcp dnat to 10.128.2.5:8080"]

    tracer = Tracer(nft, HERE.addresses)
    packet = Packet("10.128.1.9", "10.96.0.10", 80)
    assert tracer.send(packet, lambda size: 1).destination == "10.128.2.6"
    assert {outcome.destination for outcome in tracer.outcomes(packet)} == {"10.128.2.6"}
    assert len(tracer.outcomes(Packet("10.128.1.8", "10.96.0.10", 80))) == 2


def test_a_change_of_endpoints_rewrites_only_that_service() -> None:
    policy = {IPV4: Policy()}
    ruleset, nft = Ruleset(IPV4), FakeNft()
    parts = {GUARD: guard_part(IPV4, ["10.96.0.0/16"]), NODE: node_part(IPV4, HERE, Policy())}
    for number in range(3):
        slices = [slice_of(endpoint("10.128.2.5"), endpoint("10.128.2.6"))]
        other = service(clusterIP=f"10.96.0.{number}", clusterIPs=[f"10.96.0.{number}"])
        parts[f"shop/web-{number}"] = compile_service(other, slices, HERE, policy).parts[IPV4]
    ruleset.update(parts, 0)
    nft.run(ruleset.scratch())
    web = service(clusterIP="10.96.0.1", clusterIPs=["10.96.0.1"])
    part = compile_service(web, [slice_of(endpoint("10.128.2.6"))], HERE, policy).parts[IPV4]
    commands = ruleset.update({"shop/web-1": part}, 0)
    assert commands == (
        "add chain ip kube-proxy pick-tcp-1\n"
        "add rule ip kube-proxy pick-tcp-1 meta l4proto tcp dnat ip addr . port to "
        "ip daddr . tcp dport . numgen random mod 1 map @tcp-endpoints\n"
        "delete element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 }\n"
        "delete element ip kube-proxy tcp-endpoints {\n"
        "    10.96.0.1 . 80 . 0,\n"
        "    10.96.0.1 . 80 . 1\n"
        "}\n"
        'add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 comment "shop/web:http" : goto pick-tcp-1 }\n'
        "add element ip kube-proxy tcp-endpoints { 10.96.0.1 . 80 . 0 : 10.128.2.6 . 8080 }\n"
    )
    nft.run(commands)
    assert ruleset.update({"shop/web-1": part}, 0) == ""


def test_what_is_not_this_proxys_compiles_to_nothing() -> None:
    slices = slice_of(endpoint("10.128.2.5"))
    labelled = service()
    labelled["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    named_elsewhere = service(type="ExternalName", clusterIP="", clusterIPs=[], externalName="example.com")
    headless = service(clusterIP="None", clusterIPs=["None"])
    for ignored in (labelled, named_elsewhere, headless):
        assert compiled(ignored, slices)[0] == ""


def test_the_other_family_has_its_own_table_and_spelling() -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053}]
    web = service(type="NodePort", clusterIP="FD02::a", clusterIPs=["FD02::a"], ports=ports, sessionAffinity="ClientIP")
    piece = slice_of(
        endpoint("fd03:0::5"), addressType="IPv6", ports=[{"name": "dns", "port": 5353, "protocol": "UDP"}]
    )
    _, nft = compiled(web, piece, family=IPV6)
    table = nft.tables["ip6", "kube-proxy"]
    chain = named("endpoint", "shop/web/udp/dns__fd03..5/5353")
    assert table.chains[chain].rules[1] == "meta l4proto udp dnat to [fd03::5]:5353"
    assert list(table.sets["cluster-ips"].elements) == ["fd02::a"]
    assert compiled(web, piece)[0] == ""


def test_text_that_is_no_address_never_reaches_the_kernel() -> None:
    evil = "10.0.0.1 } ; flush ruleset ; add set ip x y { "
    web = service(externalIPs=[evil, "1.2.3.4"], type="LoadBalancer", vips=[evil], loadBalancerSourceRanges=[evil])
    commands, _ = compiled(web, slice_of(endpoint(evil), endpoint("10.128.2.5")))
    assert "flush" not in commands
    assert "1.2.3.4 . tcp . 80" in commands


def test_names_are_unique_and_short_enough_for_the_kernel() -> None:
    path = f"{'n' * 63}/{'s' * 63}/tcp/{'p' * 63}__{'1' * 45}/65535"
    assert len(named("endpoint", path)) < 255
    assert named("endpoint", path) != named("endpoint", path + "0")


def test_node_ports_answer_where_they_are_told_to() -> None:
    everywhere = node_part(IPV4, HERE, Policy(node_port_addresses=("0.0.0.0/0",)))
    some = node_part(IPV4, HERE, Policy(node_port_addresses=("primary", "192.0.2.0/24", "fd00::/8")))
    assert "nodeport-ips" not in everywhere.entries
    assert sorted(some.entries["nodeport-ips"]) == ["172.16.0.2/32", "192.0.2.0/24"]
