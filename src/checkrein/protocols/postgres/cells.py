"""One cell at a time: a function on text forms carried into whatever form and nesting the cell has on the wire."""

from __future__ import annotations

from collections.abc import Callable

from checkrein.core.limits import VALUE_DEPTH
from checkrein.core.maskplan import MaskFunction, Scanner
from checkrein.protocols.postgres.values import Types, base_type, codec_of, element_type, kind_of
from checkrein.protocols.postgres.values_nested import (
    map_binary_array,
    map_binary_record,
    map_text_array,
    map_text_record,
)

Leaf = Callable[[bytes, str], bytes | None]
"""Takes one scalar's text form (UTF-8) and neutral kind; gives the new one, the same object for unchanged, or None."""

_UNKNOWN_TEXT = 25


class CellRewriter:
    """Carries one leaf function into the cells of one column. Calling it gives the new cell or None for NULL.

    A text that the column's type cannot hold becomes NULL, in both formats alike. `mask=True` is for a duty on every
    value: a type whose elements cannot be told (composites, unknown binary types) then gives NULL. For a scan such a
    type's raw bytes are read, and NULL stands in for a cell in which something was found.
    """

    def __init__(self, oid: int, binary: bool, types: Types, leaf: Leaf, mask: bool) -> None:
        self._oid = oid
        self._binary = binary
        self._types = types
        self._leaf = leaf
        self._mask = mask

    def __call__(self, value: bytes) -> bytes | None:
        """Rewrite one cell. Raises ValueError when its bytes are no value of its type."""
        return self._value(value, self._oid, self._binary, 0)

    def _value(self, value: bytes, oid: int, binary: bool, depth: int) -> bytes | None:
        oid = base_type(oid, self._types)
        kind = kind_of(oid, self._types)
        if kind == "array" and depth < VALUE_DEPTH:
            return self._array(value, oid, binary, depth + 1)
        if kind == "composite" and not self._mask and depth < VALUE_DEPTH:
            return self._composite(value, binary, depth + 1)
        if kind in ("array", "composite"):
            return None if self._mask else self._opaque(value, binary)
        if kind == "bytes" and not self._mask:
            return self._bytes(value, binary)
        return self._scalar(value, oid, kind, binary)

    def _array(self, value: bytes, oid: int, binary: bool, depth: int) -> bytes | None:
        element = element_type(oid, self._types)
        if binary:
            return map_binary_array(value, lambda found, cell: self._value(cell, found, True, depth))
        try:
            return map_text_array(value, lambda cell: self._value(cell, element, False, depth))
        except ValueError:  # a delimiter of its own (box), or an array type in name only (int2vector)
            return None if self._mask else self._opaque(value, False)

    def _composite(self, value: bytes, binary: bool, depth: int) -> bytes | None:
        if binary:
            return map_binary_record(value, lambda found, cell: self._value(cell, found, True, depth))
        return map_text_record(value, lambda cell: self._guess(cell, depth))

    def _guess(self, value: bytes, depth: int) -> bytes | None:
        """A composite's field in text form: its type is not known, so its looks decide whether it is nested."""
        if depth < VALUE_DEPTH and value[:1] in (b"{", b"("):
            try:
                mapped = map_text_array if value[:1] == b"{" else map_text_record
                return mapped(value, lambda cell: self._value(cell, _UNKNOWN_TEXT, False, depth + 1))
            except ValueError:
                pass
        if value[:2] == b"\\x":
            return self._bytes(value, False)
        return self._scalar(value, _UNKNOWN_TEXT, "text", False)

    def _opaque(self, value: bytes, binary: bool) -> bytes | None:
        """Read what has no known form as it stands; text may be replaced in place, bytes only by NULL."""
        if not binary:
            return self._leaf(value, "text")
        seen = value.decode("utf-8", "replace").encode()
        return value if self._leaf(seen, "text") is seen else None

    def _bytes(self, value: bytes, binary: bool) -> bytes | None:
        """A bytea for detectors: read when it looks like text."""
        raw = value if binary else bytea_bytes(value)
        if not text_like(raw):
            return value
        new = self._leaf(raw, "text")
        if new is raw or new is None or binary:
            return value if new is raw else new
        return b"\\x" + new.hex().encode()

    def _scalar(self, value: bytes, oid: int, kind: str, binary: bool) -> bytes | None:
        codec = codec_of(oid, self._types)
        if codec is None:
            if binary:
                return None if self._mask else self._opaque(value, True)
            return self._leaf(value, kind)
        decode, encode = codec
        text = decode(value) if binary else value
        new = self._leaf(text, kind)
        if new is text or new is None:
            return value if new is text else None
        try:
            packed = encode(new)
        except (ValueError, OverflowError, UnicodeDecodeError):
            return None
        return packed if binary else new

    @property
    def needs_reading(self) -> bool:
        """Whether a scan must go cell by cell at once: text does not stand on the wire as it is, escapes aside."""
        oid = base_type(self._oid, self._types)
        kind = kind_of(oid, self._types)
        return kind == "bytes" or (self._binary and kind not in ("text", "json"))


def bytea_bytes(text: bytes) -> bytes:
    """Return the bytes of a bytea's text form, hex or escape. Raises ValueError."""
    if text[:2] == b"\\x":
        return bytes.fromhex(text[2:].decode("ascii"))
    parts = text.split(b"\\\\")
    return b"\\".join(_octal(part) for part in parts)


def _octal(part: bytes) -> bytes:
    head, *rest = part.split(b"\\")
    return head + b"".join(bytes([int(piece[:3], 8) & 0xFF]) + piece[3:] for piece in rest)


def text_like(raw: bytes) -> bool:
    """Whether bytes are UTF-8 of printable characters and white space."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def mask_leaf(mask: MaskFunction, encoding: str) -> Leaf:
    """Return a leaf that masks; `encoding` is the session's client encoding."""

    def leaf(text: bytes, kind: str) -> bytes | None:
        return mask(text)

    return latin_leaf(leaf) if encoding == "LATIN1" else leaf


def scan_leaf(scanner: Scanner, column: str, counts: dict[str, int]) -> Leaf:
    """Return a leaf that lets the detectors read.

    Whatever the session's client encoding: the server tells of a change only at ReadyForQuery, behind rows in the new.
    """

    def leaf(text: bytes, kind: str) -> bytes | None:
        return scanner.rewrite(text, column, kind, counts)

    return unsure_leaf(leaf)


def latin_leaf(leaf: Leaf) -> Leaf:
    """Return the leaf behind a transcoder between LATIN1 and UTF-8."""

    def transcoded(text: bytes, kind: str) -> bytes | None:
        utf8 = text.decode("latin-1").encode()
        new = leaf(utf8, kind)
        if new is utf8 or new is None:
            return text if new is utf8 else None
        return new.decode("utf-8").encode("latin-1", "replace")

    return transcoded


def unsure_leaf(leaf: Leaf) -> Leaf:
    """Return the leaf for bytes of an encoding that is not sure: UTF-8 where they are, else as LATIN1."""
    latin = latin_leaf(leaf)

    def guessed(text: bytes, kind: str) -> bytes | None:
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return latin(text, kind)
        return leaf(text, kind)

    return guessed
