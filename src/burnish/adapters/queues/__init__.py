"""Readers of queues: other ways in, which end in the spool of this process."""
