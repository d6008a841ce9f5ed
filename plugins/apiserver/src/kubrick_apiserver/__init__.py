"""REST over HTTPS: the API server."""
