"""The resources of the core group, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

BINDINGS = GVR("", "v1", "bindings")
COMPONENT_STATUSES = GVR("", "v1", "componentstatuses")
CONFIG_MAPS = GVR("", "v1", "configmaps")
ENDPOINTS = GVR("", "v1", "endpoints")
EVENTS = GVR("", "v1", "events")
LIMIT_RANGES = GVR("", "v1", "limitranges")
NAMESPACES = GVR("", "v1", "namespaces")
NODES = GVR("", "v1", "nodes")
PERSISTENT_VOLUMES = GVR("", "v1", "persistentvolumes")
PERSISTENT_VOLUME_CLAIMS = GVR("", "v1", "persistentvolumeclaims")
PODS = GVR("", "v1", "pods")
POD_TEMPLATES = GVR("", "v1", "podtemplates")
REPLICATION_CONTROLLERS = GVR("", "v1", "replicationcontrollers")
RESOURCE_QUOTAS = GVR("", "v1", "resourcequotas")
SECRETS = GVR("", "v1", "secrets")
SERVICES = GVR("", "v1", "services")
SERVICE_ACCOUNTS = GVR("", "v1", "serviceaccounts")
