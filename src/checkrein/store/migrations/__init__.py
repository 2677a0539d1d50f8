"""Alembic's scripts; they run at start, on the connection that `engine` passes."""
