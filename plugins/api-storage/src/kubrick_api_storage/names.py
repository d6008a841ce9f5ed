"""The resources of storage.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

CSI_DRIVERS = GVR("storage.k8s.io", "v1", "csidrivers")
CSI_NODES = GVR("storage.k8s.io", "v1", "csinodes")
CSI_STORAGE_CAPACITIES = GVR("storage.k8s.io", "v1", "csistoragecapacities")
STORAGE_CLASSES = GVR("storage.k8s.io", "v1", "storageclasses")
VOLUME_ATTACHMENTS = GVR("storage.k8s.io", "v1", "volumeattachments")
VOLUME_ATTRIBUTES_CLASSES = GVR("storage.k8s.io", "v1", "volumeattributesclasses")
