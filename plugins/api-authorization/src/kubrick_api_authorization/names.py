"""The resources of authorization.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

LOCAL_SUBJECT_ACCESS_REVIEWS = GVR("authorization.k8s.io", "v1", "localsubjectaccessreviews")
SELF_SUBJECT_ACCESS_REVIEWS = GVR("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
SELF_SUBJECT_RULES_REVIEWS = GVR("authorization.k8s.io", "v1", "selfsubjectrulesreviews")
SUBJECT_ACCESS_REVIEWS = GVR("authorization.k8s.io", "v1", "subjectaccessreviews")
