"""The service-account controller."""
