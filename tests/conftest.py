"""Fixtures that several rooms' tests share, by plugin."""

pytest_plugins = ["support.control", "support.postgres", "support.databases", "support.world"]
