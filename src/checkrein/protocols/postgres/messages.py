"""The protocol's nouns that carry more than bytes.

Kept apart from the codec, which is compiled: a Struct's options are lost on a compiled class.
"""

from __future__ import annotations

import msgspec


class RowColumn(msgspec.Struct, frozen=True, gc=False):
    """One field of a RowDescription; `format` is 0 for text, 1 for binary."""

    name: str
    table: int
    number: int
    type_oid: int
    size: int
    modifier: int
    format: int
