"""Commands: HTTP clients of the API."""
