"""Role based access control."""
