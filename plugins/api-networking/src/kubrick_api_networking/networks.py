"""Ingresses, network policies, service ranges and addresses: defaults, validation, rows."""

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age, format_label_selector, joined
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, label_selector

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


class IngressClassStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        parameters = (obj.get("spec") or {}).get("parameters")
        if parameters is not None and parameters.get("scope") is None:
            parameters["scope"] = "Cluster"

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        new, was = (each.get("spec", {}).get("controller") or "" for each in (obj, old))
        return [] if new == was else [invalid_value("spec.controller", new, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        parameters, text = spec.get("parameters"), NONE
        if parameters:
            kind = parameters.get("kind", "")
            group = parameters.get("apiGroup")
            text = f"{kind}.{group}/{parameters.get('name', '')}" if group else f"{kind}/{parameters.get('name', '')}"
        return [obj["metadata"]["name"], spec.get("controller") or "", text, age(obj, now)]


class IngressStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_ingress(obj.get("spec") or {}))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
        balanced = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        addresses = [entry.get("ip") or entry.get("hostname") or "" for entry in balanced]
        annotated = (obj["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class")
        return [
            obj["metadata"]["name"],
            spec.get("ingressClassName") or annotated or NONE,
            joined(hosts, 3) or "*",
            ",".join(dict.fromkeys(address for address in addresses if address)),
            "80, 443" if spec.get("tls") else "80",
            age(obj, now),
        ]


def _ingress(spec: Object) -> Iterator[FieldError]:
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        yield invalid_value("spec", [], "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for i, rule in enumerate(spec.get("rules") or ()):
        for j, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            at = f"spec.rules[{i}].http.paths[{j}]"
            kind = path.get("pathType")
            if not kind:
                yield required(f"{at}.pathType", "pathType must be specified")
            elif kind not in PATH_TYPES:
                yield not_supported(f"{at}.pathType", kind, PATH_TYPES)
            elif kind != "ImplementationSpecific" and not (path.get("path") or "").startswith("/"):
                yield invalid_value(f"{at}.path", path.get("path") or "", "must be an absolute path")
            yield from _backend(path.get("backend") or {}, f"{at}.backend")


def _backend(backend: Object, at: str) -> Iterator[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield invalid_value(at, "", "cannot set both resource and service backends")
    elif service is not None:
        if not service.get("name"):
            yield required(f"{at}.service.name")
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            yield invalid_value(at, "", "cannot set both port name & port number")
        elif not port.get("name") and not port.get("number"):
            yield required(at, "port name or number is required")
    elif resource is None:
        yield required(at, "resource or service backend is required")


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

    def row(self, obj: Object, now: datetime) -> list[Any]:
        selector = (obj.get("spec") or {}).get("podSelector")
        return [obj["metadata"]["name"], format_label_selector(selector), age(obj, now)]


def _policy(spec: Object) -> Iterator[FieldError]:
    yield from label_selector(spec.get("podSelector"), "spec.podSelector")
    types = spec.get("policyTypes") or ()
    if len(types) > 2:
        yield invalid_value("spec.policyTypes", types, "may not specify more than two policyTypes")
    for i, kind in enumerate(types):
        if kind not in ("Egress", "Ingress"):
            yield not_supported(f"spec.policyTypes[{i}]", kind, ("Egress", "Ingress"))
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(side) or ()):
            for j, peer in enumerate(rule.get(peers) or ()):
                yield from _peer(peer, f"spec.{side}[{i}].{peers}[{j}]")


def _peer(peer: Object, at: str) -> Iterator[FieldError]:
    block = peer.get("ipBlock")
    if block is not None and (peer.get("podSelector") is not None or peer.get("namespaceSelector") is not None):
        yield forbidden_value(at, "may not specify both ipBlock and another peer")
    elif block is None and peer.get("podSelector") is None and peer.get("namespaceSelector") is None:
        yield required(at, "must specify a peer")
    elif block is not None:
        if not block.get("cidr"):
            yield required(f"{at}.ipBlock.cidr")
        elif not _is_network(block["cidr"]):
            yield invalid_value(f"{at}.ipBlock.cidr", block["cidr"], CIDR)


CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


class ServiceCIDRStrategy(Strategy):
    has_status = True

    def validate(self, obj: Object) -> list[FieldError]:
        ranges = (obj.get("spec") or {}).get("cidrs") or ()
        if not ranges:
            return [required("spec.cidrs", "at least one CIDR required")]
        if len(ranges) > 2:
            return [invalid_value("spec", obj["spec"], "may only hold up to 2 values")]
        return [invalid_value(f"spec.cidrs[{i}]", text, CIDR) for i, text in enumerate(ranges) if not _is_network(text)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        new, was = ((each.get("spec") or {}).get("cidrs") or [] for each in (obj, old))
        return [] if new == was else [invalid_value("spec.cidrs", new, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], ",".join((obj.get("spec") or {}).get("cidrs") or ()), age(obj, now)]


class IPAddressStrategy(Strategy):
    def validate_name(self, name: str, prefix: bool) -> list[str]:
        try:
            canonical = str(ipaddress.ip_address(name))
        except ValueError:
            return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
        return [] if canonical == name else [f'must be in canonical form ("{canonical}")']

    def validate(self, obj: Object) -> list[FieldError]:
        parent = (obj.get("spec") or {}).get("parentRef")
        if parent is None:
            return [required("spec.parentRef")]
        return [required(f"spec.parentRef.{name}") for name in ("resource", "name") if not parent.get(name)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        new, was = ((each.get("spec") or {}).get("parentRef") for each in (obj, old))
        return [] if new == was else [invalid_value("spec.parentRef", new, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        parent = (obj.get("spec") or {}).get("parentRef") or {}
        parts = (parent.get(name) or "" for name in ("group", "resource", "namespace", "name"))
        return [obj["metadata"]["name"], "/".join(part for part in parts if part)]
