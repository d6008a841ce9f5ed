"""The controller runtime."""
