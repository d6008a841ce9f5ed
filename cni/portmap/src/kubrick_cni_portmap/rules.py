"""Which rules a container's host ports want, as text for nft. Pure.

One table holds everybody's rules. Each rule's comment says whose it is and, as a digest, what it is; so
what a container has can be found, counted and removed without knowing its configuration.

- `hostports`, reached from prerouting and output for the host's own addresses, holds the DNAT rules.
- `masquerading` makes answers come back through the host where they would not: to the container's own
  subnet (hairpin, neighbours on the bridge) and to processes of the host that used 127.0.0.1.
- `martians` drops what comes from a wire to 127.0.0.0/8: forwarding from localhost needs route_localnet,
  which would otherwise let neighbours reach the host's loopback.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from attrs import frozen

from kubrick_network import Address, Request, invalid
from kubrick_network.errors import UNSUPPORTED_FIELD, CNIError
from kubrick_network.result import IP

FAMILY, TABLE = "inet", "kubrick_portmap"
PROTOCOLS = ("tcp", "udp", "sctp")

TABLE_TEXT = f"""\
add table {FAMILY} {TABLE}
add chain {FAMILY} {TABLE} hostports
add chain {FAMILY} {TABLE} prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}
add chain {FAMILY} {TABLE} output {{ type nat hook output priority -100; policy accept; }}
add chain {FAMILY} {TABLE} masquerading {{ type nat hook postrouting priority srcnat; policy accept; }}
add chain {FAMILY} {TABLE} martians {{ type filter hook prerouting priority raw; policy accept; }}
flush chain {FAMILY} {TABLE} prerouting
flush chain {FAMILY} {TABLE} output
flush chain {FAMILY} {TABLE} martians
add rule {FAMILY} {TABLE} prerouting fib daddr type local jump hostports
add rule {FAMILY} {TABLE} output fib daddr type local jump hostports
add rule {FAMILY} {TABLE} martians iifname != "lo" ip daddr 127.0.0.0/8 drop
"""
LEADING = ("prerouting", "output", "martians")
DELETE_TABLE = f"delete table {FAMILY} {TABLE}\n"


@frozen
class PortMapping:
    """One host port. `host_ip` None: on every address of the host; 0.0.0.0 or ::, of that version."""

    host_port: int
    container_port: int
    protocol: str
    host_ip: IP | None = None


@frozen
class Settings:
    mappings: tuple[PortMapping, ...]
    snat: bool
    masquerade_all: bool
    conditions: Mapping[int, str]
    """Text of additional matches, by IP version."""


def read_settings(request: Request) -> Settings:
    """Raises CNIError saying what is wrong."""
    config = request.config
    if config.get("backend") not in (None, "", "nftables"):
        raise CNIError(UNSUPPORTED_FIELD, f"backend {config['backend']!r} is not supported", "nftables is")
    if config.get("externalSetMarkChain"):
        raise CNIError(UNSUPPORTED_FIELD, "externalSetMarkChain is not supported", "it is a chain of iptables")
    listed = request.runtime.get("portMappings") or []
    if not isinstance(listed, list):
        raise invalid("runtimeConfig.portMappings must be a list")
    return Settings(
        tuple(found for index, one in enumerate(listed) if (found := _mapping(one, index))),
        bool(config.get("snat", True)),
        bool(config.get("masqAll", False)),
        {4: _conditions(config.get("conditionsV4"), "ip"), 6: _conditions(config.get("conditionsV6"), "ip6")},
    )


def _mapping(one: Any, index: int) -> PortMapping | None:
    """A mapping; None for a port that is only declared (hostPort 0)."""
    where = f"portMappings[{index}]"
    if not isinstance(one, dict):
        raise invalid(f"{where} is no object")
    one = {key[:1].lower() + key[1:]: value for key, value in one.items()}  # containerd writes HostPort, as Go may
    host_port, container_port = one.get("hostPort", 0), one.get("containerPort", 0)
    if host_port == 0:
        return None
    for key, port in (("hostPort", host_port), ("containerPort", container_port)):
        if type(port) is not int or not 0 < port < 65536:
            raise invalid(f"{where}: Invalid {key}: {port!r}", "a number from 1 to 65535")
    protocol = str(one.get("protocol") or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise invalid(f"{where}: unknown protocol {protocol!r}", f"known are {', '.join(PROTOCOLS)}")
    try:
        host_ip = ip_address(one["hostIP"]) if one.get("hostIP") else None
    except ValueError as error:
        raise invalid(f"{where}: hostIP is no address", str(error)) from error
    return PortMapping(host_port, container_port, protocol, host_ip)


_WORD = re.compile(r"[\w.:/!=<>@{},*-]+")


def _conditions(words: Any, family: str) -> str:
    """Additional matches: words of nft, or the source and destination matches of iptables."""
    if not words:
        return ""
    if not isinstance(words, list) or not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
        raise invalid("conditions must be a list of words of an nftables match")
    if not any(word.startswith("-") for word in words):
        return " ".join(words)
    matches, negated = [], ""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "!":
            negated = "!= "
            continue
        field = {"-s": "saddr", "--source": "saddr", "-d": "daddr", "--destination": "daddr"}.get(word)
        if not field or not rest:
            raise CNIError(UNSUPPORTED_FIELD, f"the condition {' '.join(words)!r} is not supported", "write it for nft")
        try:
            matches.append(f"{family} {field} {negated}{ip_network(rest.pop(0), strict=False)}")
        except ValueError as error:
            raise invalid("a condition's network is none", str(error)) from error
        negated = ""
    return " ".join(matches)


def network_mark(network: str) -> str:
    """What the comments of a network's rules begin with."""
    return hashlib.sha256(network.encode()).hexdigest()[:6]


def owner(network: str, container_id: str, ifname: str) -> str:
    """How a container's interface is called in comments, which hold 128 bytes."""
    known = container_id if len(container_id) <= 64 else hashlib.sha256(container_id.encode()).hexdigest()
    return f"{network_mark(network)} {known} {ifname}"


def targets(ips: Iterable[Address]) -> list[Address]:
    """The container's first address of each version: ports go there."""
    first: dict[int, Address] = {}
    for one in ips:
        first.setdefault(one.address.version, one)
    return list(first.values())


@frozen
class Rule:
    chain: str
    text: str
    comment: str

    @property
    def command(self) -> str:
        return f'add rule {FAMILY} {TABLE} {self.chain} {self.text} comment "{self.comment}"\n'


def rules(settings: Settings, holder: str, ips: Sequence[Address]) -> list[Rule]:
    """The rules that forward the mappings to a container with these addresses."""
    found: list[Rule] = []

    def rule(chain: str, text: str) -> None:
        digest = hashlib.sha256(f"{chain} {text}".encode()).hexdigest()[:8]
        found.append(Rule(chain, text, f"{holder} {digest}"))

    for target in targets(ips):
        version, address = target.address.version, target.address.ip
        family = "ip" if version == 4 else "ip6"
        to = str(address) if version == 4 else f"[{address}]"
        for one in settings.mappings:
            if one.host_ip is not None and one.host_ip.version != version:
                continue
            every = one.host_ip is None or int(one.host_ip) == 0
            # A rule for one version of an inet table says so, or the other version's packets meet it too.
            place = f"meta nfproto ipv{version}" if every else f"{family} daddr {one.host_ip}"
            matches = [place, settings.conditions.get(version, ""), f"{one.protocol} dport {one.host_port}"]
            match = " ".join(part for part in matches if part)
            rule("hostports", f"{match} dnat {family} to {to}:{one.container_port}")
            if source := _masqueraded(settings, target):
                rule(
                    "masquerading",
                    f"{source}{family} daddr {address} {one.protocol} dport {one.container_port} "
                    f"ct original proto-dst {one.host_port} ct status dnat masquerade",
                )
    return found


def _masqueraded(settings: Settings, target: Address) -> str:
    """The match of sources to masquerade; "" for none."""
    if not settings.snat:
        return ""
    version, network = target.address.version, target.address.network
    family, localhost = ("ip", "127.0.0.0/8") if version == 4 else ("ip6", "::1")
    if settings.masquerade_all:
        return f"meta nfproto ipv{version} "
    return f"{family} saddr {{ {localhost}, {network} }} "


def owned(listing: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """(comment, chain, handle) of every rule of a container in a listing of the table."""
    rules = (one["rule"] for one in listing if "rule" in one)
    return [(rule["comment"], rule["chain"], rule["handle"]) for rule in rules if rule.get("comment")]


def headless(listing: Iterable[Mapping[str, Any]]) -> list[str]:
    """The chains that should lead to containers' rules, or guard them, and have no rule."""
    there = {one["rule"]["chain"] for one in listing if "rule" in one}
    return [name for name in LEADING if name not in there]


def removal(listing: Iterable[Mapping[str, Any]], gone: Iterable[tuple[str, str, int]]) -> str:
    """Commands that remove the rules `gone`, and the table when that empties it."""
    everything, leaving = owned(listing), list(gone)
    if not leaving:
        return ""
    if len(leaving) == len(everything):
        return DELETE_TABLE
    return "".join(f"delete rule {FAMILY} {TABLE} {chain} handle {handle}\n" for _, chain, handle in leaving)


def whose(comment: str) -> str:
    """The `owner` a rule's comment names."""
    return comment.rpartition(" ")[0]
