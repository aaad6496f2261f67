"""Burnish closes the loop from a correction in production to a better model serving."""

from importlib.metadata import version

__version__ = version("burnish")
