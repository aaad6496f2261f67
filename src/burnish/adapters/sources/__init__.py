"""SQL databases that are read, and never written, for feedback."""
