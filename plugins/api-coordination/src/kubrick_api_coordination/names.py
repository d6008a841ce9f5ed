"""The resources of coordination.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

LEASES = GVR("coordination.k8s.io", "v1", "leases")
