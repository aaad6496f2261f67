"""The durable spool of the feedback front and its way to object storage."""
