"""Benchmarks: every figure is a ratio against direct and PgBouncer, measured in the same run on the same machine."""
