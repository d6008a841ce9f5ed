"""Rules by which containers' packets to elsewhere carry the node's address, as text for nft. Pure.

One table; a map leads from a container's address to the chain of its network, which spares the network
itself, multicast, and what the configuration excepts. An element's comment says whose it is.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from kubrick_network.result import IP, IPNetwork

FAMILY, TABLE = "inet", "kubrick_bridge"
DELETE_TABLE = f"delete table {FAMILY} {TABLE}\n"
_BASE = f"""\
add table {FAMILY} {TABLE}
add map {FAMILY} {TABLE} sources4 {{ type ipv4_addr : verdict; }}
add map {FAMILY} {TABLE} sources6 {{ type ipv6_addr : verdict; }}
add chain {FAMILY} {TABLE} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
flush chain {FAMILY} {TABLE} postrouting
add rule {FAMILY} {TABLE} postrouting ip saddr vmap @sources4
add rule {FAMILY} {TABLE} postrouting ip6 saddr vmap @sources6
"""
_LEADING, _CHAINED = 2, 2
"""Rules of the base chain, and of each network's."""

Sources = Iterable[tuple[IP, tuple[IPNetwork, ...]]]


def network_mark(network: str) -> str:
    """What the comments of a network's elements begin with."""
    return hashlib.sha256(network.encode()).hexdigest()[:6]


def owner(network: str, container_id: str, ifname: str) -> str:
    """Whose an element is. Comments hold 128 bytes."""
    known = container_id if len(container_id) <= 64 else hashlib.sha256(container_id.encode()).hexdigest()
    return f"{network_mark(network)} {known} {ifname}"


def chain(kept: tuple[IPNetwork, ...]) -> str:
    """Named for what it spares, so that networks that spare the same share it."""
    return f"net-{hashlib.sha256(' '.join(map(str, kept)).encode()).hexdigest()[:10]}"


def elements(sources: Sources, holder: str) -> str:
    """Commands that add the elements, given that table and chains are there."""
    add = f"add element {FAMILY} {TABLE} sources"
    return "".join(
        f'{add}{address.version} {{ {address} comment "{holder}" : goto {chain(kept)} }}\n' for address, kept in sources
    )


def everything(sources: Sources, holder: str) -> str:
    """Commands that add table, chains and elements, whatever is there."""
    listed = list(sources)
    text = _BASE
    for kept in dict.fromkeys(kept for _, kept in listed):
        name, family = chain(kept), "ip" if kept[0].version == 4 else "ip6"
        text += (
            f"add chain {FAMILY} {TABLE} {name}\n"
            f"flush chain {FAMILY} {TABLE} {name}\n"
            f"add rule {FAMILY} {TABLE} {name} {family} daddr {{ {', '.join(map(str, kept))} }} return\n"
            f"add rule {FAMILY} {TABLE} {name} masquerade\n"
        )
    return text + elements(listed, holder)


@frozen
class Element:
    """An element found in the table."""

    map: str
    address: str
    comment: str

    @property
    def removal(self) -> str:
        return f"delete element {FAMILY} {TABLE} {self.map} {{ {self.address} }}\n"


def found(listing: Iterable[Mapping[str, Any]]) -> list[Element]:
    """The elements of the maps in a listing of the table."""
    return [
        Element(one["map"]["name"], key["elem"]["val"], key["elem"].get("comment", ""))
        for one in listing
        if "map" in one
        for key, _ in one["map"].get("elem", ())
        if isinstance(key, dict) and "elem" in key
    ]


def lacking(listing: Iterable[Mapping[str, Any]], sources: Sources, holder: str) -> str:
    """What keeps a source from being masqueraded; "" for nothing."""
    there = list(listing)
    own = {element.address for element in found(there) if element.comment == holder}
    rules = Counter(one["rule"]["chain"] for one in there if "rule" in one)
    for address, kept in sources:
        if str(address) not in own:
            return f"{address} is not masqueraded"
        if rules["postrouting"] < _LEADING or rules[chain(kept)] < _CHAINED:
            return f"{address} is not masqueraded: rules of the table {FAMILY} {TABLE} are missing"
    return ""


def removal(listing: Iterable[Mapping[str, Any]], gone: Callable[[Element], bool]) -> str:
    """Commands that remove the elements that are `gone`, and the table when that empties it."""
    there = found(listing)
    leaving = [element for element in there if gone(element)]
    if leaving and len(leaving) == len(there):
        return DELETE_TABLE
    return "".join(element.removal for element in leaving)
