"""The deployment controller."""
