"""I/O that serves ports: key sets and discovery, secret references, side links, the killable worker."""
