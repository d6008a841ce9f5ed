"""The Service by which pods know the cluster's DNS, named as everywhere: kube-system/kube-dns. Pure.

There are no pods behind it, so it has no selector, and its EndpointSlice names the server itself.
"""

from typing import Any

from kubrick_dns.settings import Settings

Object = dict[str, Any]

NAME, NAMESPACE = "kube-dns", "kube-system"
PORT = 53
PROTOCOLS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def service_objects(settings: Settings) -> list[Object]:
    """The Service and its EndpointSlice; nothing without a service address."""
    if not settings.service_ip:
        return []
    host, _, port = settings.listen.split(",")[0].strip().rpartition(":")
    family = "IPv6" if ":" in settings.service_ip else "IPv4"
    labels = {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
    ports = [{"name": name, "protocol": protocol, "port": PORT, "targetPort": PORT} for name, protocol in PROTOCOLS]
    service = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "ports": ports,
            "clusterIP": settings.service_ip,
            "clusterIPs": [settings.service_ip],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": [family],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }
    address = host.strip("[]")
    endpoints = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {**labels, "kubernetes.io/service-name": NAME},
        },
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False}}],
        "ports": [{"name": name, "protocol": protocol, "port": int(port)} for name, protocol in PROTOCOLS],
    }
    return [service, endpoints]
