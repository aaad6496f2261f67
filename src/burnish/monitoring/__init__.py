"""How a release does in production, and the automatic way back."""
