"""Burnish closes the loop from a correction in production to a better model serving."""
