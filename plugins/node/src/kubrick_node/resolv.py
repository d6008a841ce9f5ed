"""What stands in a pod's resolv.conf. Pure.

Source: the kubelet's dns configurer: dnsPolicy, the cluster's DNS and search path, the pod's dnsConfig on top,
with resolv.conf's limits (3 servers, 32 search domains, 2048 characters).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from kubrick_node.runtime import DNS

Object = dict[str, Any]

SERVERS, SEARCHES, SEARCH_CHARACTERS = 3, 32, 2048
CLUSTER_OPTIONS = ("ndots:5",)
NO_CLUSTER_DNS = (
    'pod: "{pod}". kubelet does not have ClusterDNS IP configured and cannot create Pod using "{policy}" policy. '
    'Falling back to "Default" policy.'
)
TOO_MANY_SERVERS = (
    "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}"
)
TOO_MANY_SEARCHES = (
    "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}"
)


@frozen
class Resolution:
    """A resolv.conf, and what its pod should be warned of: (reason, message)."""

    dns: DNS
    warnings: tuple[tuple[str, str], ...] = ()


def parse_resolv_conf(text: str) -> DNS:
    """The machine's own resolv.conf. The last of several search lines counts."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.strip().split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver" and len(words) > 1:
            servers.append(words[1])
        elif words[0] in ("search", "domain") and len(words) > 1:
            searches = tuple(word if word == "." else word.rstrip(".") for word in words[1:])
        elif words[0] == "options":
            options = tuple(words[1:])
    return DNS(tuple(servers), searches, options)


def resolve(pod: Object, host: DNS, cluster_dns: Sequence[str], cluster_domain: str) -> Resolution:
    """`host` is the machine's resolv.conf."""
    spec, metadata = pod["spec"], pod["metadata"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    warnings: list[tuple[str, str]] = []
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and not cluster_dns:
        who = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        warnings.append(("MissingClusterDNS", NO_CLUSTER_DNS.format(pod=who, policy=policy)))
        policy = "Default"
    if policy == "None":
        made = DNS()
    elif policy == "Default":
        made = host
    else:
        searches = [f"{metadata['namespace']}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain]
        made = DNS(tuple(cluster_dns), _unique([*searches, *host.searches]), CLUSTER_OPTIONS)
    wanted = spec.get("dnsConfig")
    if wanted:
        made = DNS(
            _unique([*made.servers, *(wanted.get("nameservers") or ())]),
            _unique([*made.searches, *(wanted.get("searches") or ())]),
            _options(made.options, wanted.get("options") or ()),
        )
    return _within_limits(made, warnings)


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _options(base: Sequence[str], wanted: Sequence[Object]) -> tuple[str, ...]:
    """The pod's options replace those of the same name."""
    by_name = {option.partition(":")[0]: option for option in base}
    for option in wanted:
        value = option.get("value")
        by_name[option["name"]] = f"{option['name']}:{value}" if value else option["name"]
    return tuple(by_name.values())


def _within_limits(dns: DNS, warnings: list[tuple[str, str]]) -> Resolution:
    servers, searches = dns.servers[:SERVERS], dns.searches[:SEARCHES]
    if servers != dns.servers:
        warnings.append(("DNSConfigForming", TOO_MANY_SERVERS.format(" ".join(servers))))
    while searches and len(" ".join(searches)) > SEARCH_CHARACTERS:
        searches = searches[:-1]
    if searches != dns.searches:
        warnings.append(("DNSConfigForming", TOO_MANY_SEARCHES.format(" ".join(searches))))
    return Resolution(DNS(servers, searches, dns.options), tuple(warnings))
