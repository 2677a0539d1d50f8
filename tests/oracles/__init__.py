"""The real things that reading is compared with: PostgreSQL's own regression SQL on a real server."""
