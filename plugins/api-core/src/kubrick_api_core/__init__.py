"""The resources of the core group (v1)."""
