"""Authentication by client certificate."""
