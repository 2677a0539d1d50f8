"""Arrays and composites: every element handed to a function, and the whole put together again.

Text forms: manual, "Array Input and Output Syntax" and "Composite Type Input and Output Syntax"; binary forms:
`array_send` and `record_send`. All raise ValueError for bytes that are no such value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from checkrein.core.framing import int32_at

Element = Callable[[bytes], bytes | None]
"""Takes an element's text form, gives the new one or None for NULL."""

TypedElement = Callable[[int, bytes], bytes | None]
"""Takes an element's type and binary form, gives the new binary form or None for NULL."""

_NULL: Final = b"\xff\xff\xff\xff"
_ARRAY_SPECIAL: Final = frozenset(b'{},"\\ \t\n\r\v\f')
_RECORD_SPECIAL: Final = frozenset(b'(),"\\ \t\n\r\v\f')
_QUOTE, _BACKSLASH = 0x22, 0x5C


def _quoted(value: bytes, special: frozenset[int], null: bytes) -> bytes:
    if value and not special.intersection(value) and value.upper() != null:
        return value
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _token(text: bytes, at: int, closing: frozenset[int]) -> tuple[bytes, bool, int]:
    """Read one element from `at`: (its value, whether anything of it was quoted, offset of the byte that ends it)."""
    found = bytearray()
    quoted = inside = False
    while at < len(text):
        byte = text[at]
        if byte == _BACKSLASH:
            at += 1
            if at >= len(text):
                break
            found.append(text[at])
            quoted = True
        elif byte == _QUOTE:
            if inside and text[at + 1 : at + 2] == b'"':  # composites double a quote
                found.append(byte)
                at += 1
            else:
                inside = not inside
            quoted = True
        elif not inside and byte in closing:
            return bytes(found), quoted, at
        else:
            found.append(byte)
        at += 1
    raise ValueError("an element that does not end")


def map_text_array(text: bytes, each: Element) -> bytes:
    """Rewrite an array's text form, of any dimensions, bounds in front kept."""
    at = text.find(b"{")
    if at < 0 or (at and not (text.startswith(b"[") and text[at - 1 : at] == b"=")):
        raise ValueError("not an array")
    out = [text[:at]]
    depth = 0
    closing = frozenset(b",}")
    expects = True
    while at < len(text):
        byte = text[at]
        if byte == 0x7B:
            depth += 1
            expects = text[at + 1 : at + 2] != b"}"
        elif byte == 0x7D:
            depth -= 1
            expects = False
            if depth == 0:
                break
        elif byte == 0x2C:
            expects = True
        elif not expects or depth == 0:
            raise ValueError("not an array")
        else:
            value, quoted, at = _token(text, at, closing)
            new = None if not quoted and value.upper() == b"NULL" else each(value)
            out.append(b"NULL" if new is None else _quoted(new, _ARRAY_SPECIAL, b"NULL"))
            expects = False
            continue
        out.append(text[at : at + 1])
        at += 1
    if depth != 0 or at != len(text) - 1:
        raise ValueError("not an array")
    out.append(b"}")
    return b"".join(out)


def map_text_record(text: bytes, each: Element) -> bytes:
    """Rewrite a composite's text form."""
    if text[:1] != b"(" or text[-1:] != b")":
        raise ValueError("not a composite")
    out: list[bytes] = []
    at = 1
    closing = frozenset(b",)")
    while True:
        value, quoted, at = _token(text, at, closing)
        new = None if not quoted and not value else each(value)
        out.append(b"" if new is None else _quoted(new, _RECORD_SPECIAL, b""))
        if text[at] == 0x29:
            break
        at += 1
    if at != len(text) - 1:
        raise ValueError("not a composite")
    return b"(" + b",".join(out) + b")"


def _framed(value: bytes | None) -> bytes:
    return _NULL if value is None else len(value).to_bytes(4, "big") + value


def _cell(value: bytes, at: int) -> tuple[bytes | None, int]:
    """Read a length and as many bytes; None for NULL."""
    if len(value) - at < 4:
        raise ValueError("an element is cut off")
    size = int32_at(value, at)
    if size == 0xFFFFFFFF:
        return None, at + 4
    if size > len(value) - at - 4:
        raise ValueError("an element is cut off")
    return value[at + 4 : at + 4 + size], at + 4 + size


def map_binary_array(value: bytes, each: TypedElement) -> bytes:
    """Rewrite an array's binary form: dimensions, has-null flag, element type, (size, lower bound) each, elements."""
    if len(value) < 12:
        raise ValueError("not an array")
    dimensions, element = int32_at(value, 0), int32_at(value, 8)
    at = 12 + 8 * dimensions
    if dimensions > 6 or len(value) < at:
        raise ValueError("not an array")
    cells: list[bytes] = []
    nulls = False
    while at < len(value):
        cell, at = _cell(value, at)
        new = None if cell is None else each(element, cell)
        nulls = nulls or new is None
        cells.append(_framed(new))
    head = value[:4] + (b"\0\0\0\1" if nulls else b"\0\0\0\0") + value[8 : 12 + 8 * dimensions]
    return head + b"".join(cells)


def map_binary_record(value: bytes, each: TypedElement) -> bytes:
    """Rewrite a composite's binary form: number of fields, then (type, size, bytes) each."""
    if len(value) < 4:
        raise ValueError("not a composite")
    out = [value[:4]]
    at = 4
    for _ in range(int32_at(value, 0)):
        if len(value) - at < 4:
            raise ValueError("a field is cut off")
        field_type = int32_at(value, at)
        out.append(value[at : at + 4])
        cell, at = _cell(value, at + 4)
        out.append(_framed(None if cell is None else each(field_type, cell)))
    if at != len(value):
        raise ValueError("bytes behind the last field")
    return b"".join(out)
