"""What outlives a process and is no recording: the schema, its migrations, and one repository a file.

SQLite in WAL mode for one node. Everything here is synchronous and called in a thread; repositories take an Engine.
"""
