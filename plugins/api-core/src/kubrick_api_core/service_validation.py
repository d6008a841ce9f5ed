"""What can be wrong with a Service. Paths and wording are those of pkg/apis/core/validation."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_many,
)
from kubrick_api.resource import Object
from kubrick_api.validation import labels as validate_labels
from kubrick_api.validation import name_is_dns_label, name_is_dns_subdomain, qualified_name
from kubrick_api_core.container_validation import PROTOCOLS, port_in_range, port_number_or_name
from kubrick_api_core.pod_validation import ip_address
from kubrick_api_core.service_defaults import HEADLESS, WITH_NODE_PORTS, is_headless, needs_cluster_ip

Errors = Iterator[FieldError]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
DAY = 86400


def validate_service(service: Object) -> Errors:
    spec = service.get("spec") or {}
    yield from _type(spec)
    ports = spec.get("ports") or []
    if not ports and not is_headless(spec) and spec.get("type") != "ExternalName":
        yield required("spec.ports")
    yield from _ports(spec, ports)
    yield from validate_labels(spec.get("selector") or {}, "spec.selector")
    yield from _session_affinity(spec)
    yield from _cluster_ips(spec)
    yield from _traffic(spec)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        yield from ip_address(address, f"spec.externalIPs[{i}]")


def _type(spec: Object) -> Errors:
    kind = spec.get("type") or ""
    if not kind:
        yield required("spec.type")
    elif kind not in TYPES:
        yield not_supported("spec.type", kind, TYPES)
    if kind in WITH_NODE_PORTS and is_headless(spec):
        yield invalid_value("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        if (given := spec.get("clusterIPs")) and given[0] != HEADLESS:
            yield forbidden_value("spec.clusterIPs", "may not be set for ExternalName services")
        name = (spec.get("externalName") or "").removesuffix(".")
        if not name:
            yield required("spec.externalName")
        else:
            for message in name_is_dns_subdomain(name, False):
                yield invalid_value("spec.externalName", name, message)


def _ports(spec: Object, ports: list[Object]) -> Errors:
    names: set[str] = set()
    numbers: set[tuple[Any, Any]] = set()
    node_ports: set[tuple[Any, Any]] = set()
    for i, port in enumerate(ports):
        at = f"spec.ports[{i}]"
        name = port.get("name") or ""
        if not name and len(ports) > 1:
            yield required(f"{at}.name")
        elif name:
            for message in name_is_dns_label(name, False):
                yield invalid_value(f"{at}.name", name, message)
            if name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
        yield from port_in_range(port.get("port"), f"{at}.port")
        protocol = port.get("protocol") or ""
        if not protocol:
            yield required(f"{at}.protocol")
        elif protocol not in PROTOCOLS:
            yield not_supported(f"{at}.protocol", protocol, PROTOCOLS)
        yield from port_number_or_name(port.get("targetPort"), f"{at}.targetPort")
        if application := port.get("appProtocol"):
            for message in qualified_name(application):
                yield invalid_value(f"{at}.appProtocol", application, message)
        if (protocol, port.get("port")) in numbers:
            empty = {"AppProtocol": None, "Port": port.get("port"), "TargetPort": 0, "NodePort": 0}
            yield duplicate(at, {"Name": "", "Protocol": protocol, **empty})
        numbers.add((protocol, port.get("port")))
        if node_port := port.get("nodePort"):
            if spec.get("type") == "ClusterIP":
                yield forbidden_value(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'")
            elif spec.get("type") == "ExternalName":
                yield forbidden_value(f"{at}.nodePort", "may not be used when `type` is 'ExternalName'")
            if (protocol, node_port) in node_ports:
                yield duplicate(f"{at}.nodePort", node_port)
            node_ports.add((protocol, node_port))


def _session_affinity(spec: Object) -> Errors:
    affinity = spec.get("sessionAffinity") or ""
    if not affinity:
        yield required("spec.sessionAffinity")
    elif affinity not in ("ClientIP", "None"):
        yield not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    if affinity == "ClientIP":
        seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None or not 0 < seconds <= DAY:
            yield invalid_value(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                seconds,
                f"must be greater than 0 and less than {DAY}",
            )


def _cluster_ips(spec: Object) -> Errors:
    if not needs_cluster_ip(spec):
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(name):
                yield forbidden_value(f"spec.{name}", "may not be set for ExternalName services")
        return
    addresses = spec.get("clusterIPs") or []
    if spec.get("clusterIP") and addresses and addresses[0] != spec["clusterIP"]:
        yield invalid_value("spec.clusterIPs", addresses, "first value must match `clusterIP`")
    if len(addresses) > 2:
        yield too_many("spec.clusterIPs", len(addresses), 2)
    for i, address in enumerate(addresses):
        if address == HEADLESS:
            if i:
                yield invalid_value(f"spec.clusterIPs[{i}]", address, "must be a valid IP address")
            continue
        yield from ip_address(address, f"spec.clusterIPs[{i}]")
    families = spec.get("ipFamilies") or ()
    if len(families) > 2:
        yield too_many("spec.ipFamilies", len(families), 2)
    for i, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            yield not_supported(f"spec.ipFamilies[{i}]", family, ("IPv4", "IPv6"))
        if family in families[:i]:
            yield duplicate(f"spec.ipFamilies[{i}]", family)
    policy = spec.get("ipFamilyPolicy")
    policies = ("SingleStack", "PreferDualStack", "RequireDualStack")
    if policy and policy not in policies:
        yield not_supported("spec.ipFamilyPolicy", policy, policies)
    yield from _families_match(addresses, families)


def _families_match(addresses: list[str], families: Any) -> Errors:
    for i, (address, family) in enumerate(zip(addresses, families, strict=False)):
        try:
            found = f"IPv{ipaddress.ip_address(address).version}"
        except ValueError:
            continue
        if found != family:
            yield invalid_value(
                f"spec.clusterIPs[{i}]", address, f"expected an {family} value as indicated by `ipFamilies[{i}]`"
            )


def _traffic(spec: Object) -> Errors:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    reachable = spec.get("type") in WITH_NODE_PORTS or (spec.get("type") == "ClusterIP" and spec.get("externalIPs"))
    if external and not reachable:
        yield invalid_value(
            "spec.externalTrafficPolicy", external, "may only be set for externally-accessible services"
        )
    elif external and external not in ("Cluster", "Local"):
        yield not_supported("spec.externalTrafficPolicy", external, ("Cluster", "Local"))
    if internal and internal not in ("Cluster", "Local"):
        yield not_supported("spec.internalTrafficPolicy", internal, ("Cluster", "Local"))
    health = spec.get("healthCheckNodePort")
    if health and not (spec.get("type") == "LoadBalancer" and external == "Local"):
        yield invalid_value(
            "spec.healthCheckNodePort",
            health,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )
    if spec.get("loadBalancerClass") and spec.get("type") != "LoadBalancer":
        yield forbidden_value("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")


def validate_service_update(service: Object, old: Object) -> Errors:
    spec, before = service.get("spec") or {}, old.get("spec") or {}
    if needs_cluster_ip(before) and needs_cluster_ip(spec):
        addresses, known = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
        if known and not addresses:
            yield invalid_value("spec.clusterIPs[0]", addresses, "primary clusterIP can not be unset")
        elif known and addresses[0] != known[0]:
            yield invalid_value("spec.clusterIPs[0]", addresses, "may not change once set")
        families, were = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
        if were and families and families[0] != were[0]:
            yield invalid_value("spec.ipFamilies[0]", families, "may not change once set")
    both = spec.get("type") == before.get("type") == "LoadBalancer"
    if both and spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
        yield invalid_value("spec.loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set")
