"""The resources of resource.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

DEVICE_CLASSES = GVR("resource.k8s.io", "v1", "deviceclasses")
RESOURCE_CLAIMS = GVR("resource.k8s.io", "v1", "resourceclaims")
RESOURCE_CLAIM_TEMPLATES = GVR("resource.k8s.io", "v1", "resourceclaimtemplates")
RESOURCE_SLICES = GVR("resource.k8s.io", "v1", "resourceslices")
