"""Taints new nodes as not ready."""
