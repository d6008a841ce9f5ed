"""The resources of scheduling.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

PRIORITY_CLASSES = GVR("scheduling.k8s.io", "v1", "priorityclasses")
