"""The embedded storage engine: SQLite with group commit."""
