"""The policy decision point: YAML documents in, verdicts out. Pure, total, no I/O, no clock.

`documents` reads strict YAML with positions, `model` says what a policy may contain, `load` gathers a directory,
`compile` turns documents into a `Snapshot`, `view` and `engine` judge, `explain` prints why, `testing` runs
`*.test.yaml` files.
"""
