"""Network policies: defaults, validation, rows. Paths, order and wording of pkg/apis/networking."""

import ipaddress
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from kubrick_api import addresses
from kubrick_api.cells import age, format_label_selector
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.formats import invalids, port_name, port_number
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import label_selector

Errors = Iterator[FieldError]
SIDES = (("ingress", "from"), ("egress", "to"))


class NetworkPolicyStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for side in ("ingress", "egress"):
            for rule in spec.get(side) or ():
                for port in rule.get("ports") or ():
                    if port.get("protocol") is None:
                        port["protocol"] = "TCP"
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_policy(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Ranges that were in the policy before may stay, wherever they go; where its own selector was wrong, the
        others' values are believed, too."""
        before = old.get("spec") or {}
        believed = bool(label_selector(before.get("podSelector"), ""))
        return list(_policy(obj.get("spec") or {}, [*_ranges(before)], any_value=believed))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        spec, found = obj.get("spec") or {}, []
        for side, peers in SIDES:
            for i, rule in enumerate(spec.get(side) or ()):
                for j, peer in enumerate(rule.get(peers) or ()):
                    block, at = peer.get("ipBlock") or {}, f"spec.{side}[{i}].{peers}[{j}].ipBlock"
                    found += addresses.cidr_spelling_warnings(block.get("cidr") or "", f"{at}.cidr")
                    for k, text in enumerate(block.get("except") or ()):
                        found += addresses.cidr_spelling_warnings(text, f"{at}.except[{k}]")
        return found

    def row(self, obj: Object, now: datetime) -> list[Any]:
        selector = (obj.get("spec") or {}).get("podSelector")
        return [obj["metadata"]["name"], format_label_selector(selector), age(obj, now)]


def _ranges(spec: Object) -> Iterator[str]:
    for side, peers in SIDES:
        for rule in spec.get(side) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                yield block.get("cidr") or ""
                yield from block.get("except") or ()


def _policy(spec: Object, known: Collection[str] = (), *, any_value: bool = False) -> Errors:
    yield from label_selector(spec.get("podSelector"), "spec.podSelector", any_value=any_value)
    for side, peers in SIDES:
        for i, rule in enumerate(spec.get(side) or ()):
            for j, port in enumerate(rule.get("ports") or ()):
                yield from _port(port, f"spec.{side}[{i}].ports[{j}]")
            for j, peer in enumerate(rule.get(peers) or ()):
                yield from _peer(peer, f"spec.{side}[{i}].{peers}[{j}]", known, any_value=any_value)
    types = spec.get("policyTypes") or ()
    if len(types) > 2:
        yield invalid_value("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for i, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            yield not_supported(f"spec.policyTypes[{i}]", kind, ("Ingress", "Egress"))


def _port(port: Object, at: str) -> Errors:
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol not in (None, "TCP", "UDP", "SCTP"):
        yield not_supported(f"{at}.protocol", protocol, ("TCP", "UDP", "SCTP"))
    if number is None:
        if end is not None:
            yield invalid_value(f"{at}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(number, str):
        if end is not None:
            yield invalid_value(f"{at}.endPort", end, "may not be specified when `port` is non-numeric")
        yield from invalids(f"{at}.port", number, port_name(number))
    else:
        yield from invalids(f"{at}.port", number, port_number(number))
        if end is not None:
            if end < number:
                yield invalid_value(f"{at}.endPort", end, "must be greater than or equal to `port`")
            yield from invalids(f"{at}.endPort", end, port_number(end))


def _peer(peer: Object, at: str, known: Collection[str], *, any_value: bool) -> Errors:
    selectors = [name for name in ("podSelector", "namespaceSelector") if peer.get(name) is not None]
    for name in selectors:
        yield from label_selector(peer[name], f"{at}.{name}", any_value=any_value)
    block = peer.get("ipBlock")
    if block is not None:
        yield from _block(block, f"{at}.ipBlock", known)
    if block is None and not selectors:
        yield required(at, "must specify a peer")
    elif block is not None and selectors:
        yield forbidden_value(at, "may not specify both ipBlock and another peer")


def _block(block: Object, at: str, known: Collection[str]) -> Errors:
    text = block.get("cidr") or ""
    if not text:
        yield required(f"{at}.cidr")
        return
    yield from addresses.check_cidr(text, f"{at}.cidr", known)
    whole = _network(text)
    if whole is None:
        return
    for i, inner in enumerate(block.get("except") or ()):
        yield from addresses.check_cidr(inner, f"{at}.except[{i}]", known)
        part = _network(inner)
        if part is None:
            continue
        inside = part.version == whole.version and part.network_address in whole
        if not inside or whole.prefixlen >= part.prefixlen:
            yield invalid_value(f"{at}.except[{i}]", inner, "must be a strict subset of `cidr`")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    parsed = addresses.parse_cidr(text)
    return None if parsed is None else ipaddress.ip_network(addresses.network(*parsed))
