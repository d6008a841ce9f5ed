"""The resources of apiregistration.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

API_SERVICES = GVR("apiregistration.k8s.io", "v1", "apiservices")
