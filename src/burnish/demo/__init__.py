"""The demo: the whole loop, told on real photos by a user of the platform."""

from burnish.demo.main import run

__all__ = ["run"]
