"""One run of the loop: a durable saga of steps."""
