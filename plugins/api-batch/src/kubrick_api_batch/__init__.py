"""The resources of batch/v1."""
