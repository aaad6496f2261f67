"""Immutable training sets, built from the raw log."""
