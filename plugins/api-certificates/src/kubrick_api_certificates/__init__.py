"""The resources of certificates.k8s.io/v1."""
