"""Authentication by a static token file."""
