"""Resolves priority class names."""
