"""The resources of policy/v1."""
