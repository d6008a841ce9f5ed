"""The resources of discovery.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

ENDPOINT_SLICES = GVR("discovery.k8s.io", "v1", "endpointslices")
