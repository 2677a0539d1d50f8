"""Values that every layer shares: no I/O, no clock, no protocol, no imports from other layers.

One module a noun. Everything here is immutable unless its docstring says otherwise.
"""
