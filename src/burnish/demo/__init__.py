"""The whole loop in one command, on real photos."""
