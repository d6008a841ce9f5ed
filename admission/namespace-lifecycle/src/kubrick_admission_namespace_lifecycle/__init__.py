"""Refuses new objects in missing or terminating namespaces, and keeps the system namespaces."""
