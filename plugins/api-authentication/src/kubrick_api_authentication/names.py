"""The resources of authentication.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

SELF_SUBJECT_REVIEWS = GVR("authentication.k8s.io", "v1", "selfsubjectreviews")
TOKEN_REVIEWS = GVR("authentication.k8s.io", "v1", "tokenreviews")
