"""The inference front: predictions over HTTP."""
