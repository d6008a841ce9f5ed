"""The resources of apps/v1."""
