"""The resources of node.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

RUNTIME_CLASSES = GVR("node.k8s.io", "v1", "runtimeclasses")
