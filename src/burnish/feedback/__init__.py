"""Corrections: records, their identity, and the raw log."""
