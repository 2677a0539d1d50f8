"""The protocol's nouns that carry more than bytes.

Kept apart from the codec, which is compiled: a Struct's options are lost on a compiled class.
"""

from __future__ import annotations

import msgspec


class Parse(msgspec.Struct, frozen=True, gc=False):
    """A Parse message: statement name, text as sent, type oids of the parameters (0: unspecified)."""

    name: bytes
    text: bytes
    types: tuple[int, ...]


class Bind(msgspec.Struct, frozen=True, gc=False):
    """A Bind: `values` are raw, None for NULL; `formats` has 0, 1 or as many entries as values (0 text, 1 binary)."""

    portal: bytes
    statement: bytes
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]


class RowColumn(msgspec.Struct, frozen=True, gc=False):
    """One field of a RowDescription; `format` is 0 for text, 1 for binary."""

    name: str
    table: int
    number: int
    type_oid: int
    size: int
    modifier: int
    format: int
