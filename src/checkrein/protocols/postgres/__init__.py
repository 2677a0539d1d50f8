"""PostgreSQL: frontend/backend protocol 3.0, statements read by the server's own grammar (libpg_query)."""
