"""What a Service says when its author doesn't, and what an update keeps.

`default_service` is pkg/apis/core/v1/defaults.go; the rest is pkg/registry/core/service/strategy.go:
clusterIP and clusterIPs are one field under two names, values the server allocated survive an update
that leaves them out, and fields of a type the service no longer has are dropped.
"""

from typing import Any

Object = dict[str, Any]

WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
HEADLESS = "None"


def needs_cluster_ip(spec: Object) -> bool:
    return spec.get("type") in WITH_CLUSTER_IP


def needs_node_ports(spec: Object) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def reachable(spec: Object) -> bool:
    """Whether it can be reached from outside the cluster."""
    return spec.get("type") in WITH_NODE_PORTS or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


def is_headless(spec: Object) -> bool:
    return spec.get("clusterIP") == HEADLESS


def default_service(service: Object) -> None:
    spec = service.setdefault("spec", {})
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds") is None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    for port in spec.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    external = spec["type"] in WITH_NODE_PORTS or (spec["type"] == "ClusterIP" and spec.get("externalIPs"))
    if external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in WITH_CLUSTER_IP and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    status = service.setdefault("status", {})
    status.setdefault("loadBalancer", {})
    if spec["type"] == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        for ingress in status["loadBalancer"].get("ingress") or ():
            if ingress.get("ip") and not ingress.get("ipMode"):
                ingress["ipMode"] = "VIP"


def pair_cluster_ips(spec: Object, old: Object | None = None) -> None:
    """Bring clusterIP and clusterIPs in line; on an update, follow the one that changed."""
    one, many = spec.get("clusterIP") or "", list(spec.get("clusterIPs") or ())
    if old is None:
        if one and not many:
            many = [one]
    else:
        was = old.get("clusterIP") or ""
        same_list = many == list(old.get("clusterIPs") or ())
        if one != was and same_list:
            many = [one] if one else []
        elif one == was and not same_list and not many:
            one = ""
    if old is not None and many and not one:
        one = many[0]
    for name, value in (("clusterIP", one), ("clusterIPs", many)):
        if value:
            spec[name] = value
        else:
            spec.pop(name, None)


def keep_allocated(spec: Object, old: Object) -> None:
    """Copy from the old spec what was allocated and the update left out."""
    if needs_cluster_ip(old) and needs_cluster_ip(spec):
        if not spec.get("clusterIP") and old.get("clusterIP"):
            spec["clusterIP"] = old["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == old.get("clusterIP") and old.get("clusterIPs"):
            spec["clusterIPs"] = list(old["clusterIPs"])
    if needs_node_ports(old) and needs_node_ports(spec):
        used = {port.get("nodePort") for port in spec.get("ports") or ()}
        known = {(p.get("port"), p.get("protocol")): p.get("nodePort") for p in old.get("ports") or ()}
        for port in spec.get("ports") or ():
            number = known.get((port.get("port"), port.get("protocol")))
            if not port.get("nodePort") and number and number not in used:
                port["nodePort"] = number
                used.add(number)
    both = needs_health_port(old) and needs_health_port(spec)
    if both and not spec.get("healthCheckNodePort") and old.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old["healthCheckNodePort"]


def drop_unused(spec: Object, old: Object) -> None:
    """Forget what only the old type needed, unless the update asks for it anew."""
    if needs_cluster_ip(old) and not needs_cluster_ip(spec) and spec.get("clusterIP") == old.get("clusterIP"):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(name, None)
    if needs_node_ports(old) and not needs_node_ports(spec):
        before = {port.get("nodePort") for port in old.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") in before:
                port.pop("nodePort", None)
    lost = needs_health_port(old) and not needs_health_port(spec)
    if lost and spec.get("healthCheckNodePort") == old.get("healthCheckNodePort"):
        spec.pop("healthCheckNodePort", None)
    balanced = "LoadBalancer"
    if old.get("type") == balanced and spec.get("type") != balanced:
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(name) == old.get(name):
                spec.pop(name, None)
    external = spec.get("type") in WITH_NODE_PORTS or spec.get("externalIPs")
    if not external and spec.get("externalTrafficPolicy") == old.get("externalTrafficPolicy"):
        spec.pop("externalTrafficPolicy", None)
