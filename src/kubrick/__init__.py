"""Kubernetes in bricks. This distribution has no code: it depends on the default set of plugins."""
