"""What each step of the saga does."""
