"""Gives pods their service account."""
