"""The demo's report: one HTML file that needs nothing beside it."""

from burnish.demo.report.page import write
from burnish.demo.report.tale import Judged, Kind, Moment, Tale

__all__ = ["Judged", "Kind", "Moment", "Tale", "write"]
