"""The feedback front: a raw ASGI application."""
