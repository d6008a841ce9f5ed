"""The garbage-collector controller."""
