"""The resources of flowcontrol.apiserver.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

FLOW_SCHEMAS = GVR("flowcontrol.apiserver.k8s.io", "v1", "flowschemas")
PRIORITY_LEVEL_CONFIGURATIONS = GVR("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations")
