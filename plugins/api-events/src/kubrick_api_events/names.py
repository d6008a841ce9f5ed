"""The resources of events.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

EVENTS = GVR("events.k8s.io", "v1", "events")
