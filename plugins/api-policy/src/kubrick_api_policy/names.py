"""The resources of policy, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

POD_DISRUPTION_BUDGETS = GVR("policy", "v1", "poddisruptionbudgets")
