"""The resources of certificates.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

CERTIFICATE_SIGNING_REQUESTS = GVR("certificates.k8s.io", "v1", "certificatesigningrequests")
