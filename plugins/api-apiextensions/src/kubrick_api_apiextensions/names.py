"""The resources of apiextensions.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

CUSTOM_RESOURCE_DEFINITIONS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
