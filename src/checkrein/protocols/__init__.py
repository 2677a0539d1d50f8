"""Wire protocols, one folder each, all of the same inner shape. PROTOCOLS is the one list."""
