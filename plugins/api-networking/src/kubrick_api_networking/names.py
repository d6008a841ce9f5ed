"""The resources of networking.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

INGRESSES = GVR("networking.k8s.io", "v1", "ingresses")
INGRESS_CLASSES = GVR("networking.k8s.io", "v1", "ingressclasses")
IP_ADDRESSES = GVR("networking.k8s.io", "v1", "ipaddresses")
NETWORK_POLICIES = GVR("networking.k8s.io", "v1", "networkpolicies")
SERVICE_CIDRS = GVR("networking.k8s.io", "v1", "servicecidrs")
