"""What serving loads as one unit, and the one pointer it follows."""
