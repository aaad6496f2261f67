"""Clients in the standard library alone; they import nothing of Burnish."""
