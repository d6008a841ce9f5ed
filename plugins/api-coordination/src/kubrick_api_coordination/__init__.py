"""The resources of coordination.k8s.io/v1."""
