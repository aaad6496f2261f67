"""The metadata database: SQLAlchemy Core on SQLite."""
