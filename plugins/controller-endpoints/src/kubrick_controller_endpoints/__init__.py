"""The endpoints controller."""
