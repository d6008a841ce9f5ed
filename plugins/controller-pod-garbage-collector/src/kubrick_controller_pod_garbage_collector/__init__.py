"""The pod-garbage-collector controller."""
