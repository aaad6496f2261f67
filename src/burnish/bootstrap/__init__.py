"""The only place where parts are wired: one module a role, and what they share."""
