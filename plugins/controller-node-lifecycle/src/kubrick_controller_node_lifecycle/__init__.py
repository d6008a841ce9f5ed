"""The node-lifecycle controller."""
