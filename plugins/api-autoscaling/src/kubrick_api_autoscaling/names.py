"""The resources of autoscaling, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

HORIZONTAL_POD_AUTOSCALERS = GVR("autoscaling", "v2", "horizontalpodautoscalers")
HORIZONTAL_POD_AUTOSCALERS_V1 = GVR("autoscaling", "v1", "horizontalpodautoscalers")
