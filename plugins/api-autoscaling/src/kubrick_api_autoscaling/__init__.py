"""The resources of autoscaling/v1 and v2."""
