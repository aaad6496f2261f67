"""Candidates judged against the serving model, on evidence."""
