"""Rewriting of the leaves of structured texts: JSON, array and composite literals.

Texts are walked token by token; only tokens whose leaf changed are written anew, so order, white space and duplicate
keys stay byte for byte. No recursion: any depth of JSON costs one list.
Sources: RFC 8259; PostgreSQL manual 8.15.2 (array input and output) and 8.16.6 (composite input and output).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_JSON = re.compile(
    rb'"(?:[^"\\]++|\\.)*+"|(?<![0-9A-Za-z])[-0-9][-+0-9.eE]*+(?![0-9A-Za-z])|[{}\[\]]', re.DOTALL
)  # digits that letters touch are no number of a JSON text
_COLON = re.compile(rb"[ \t\r\n]*+:")
_ROW = re.compile(rb'"(?:[^"\\]++|\\.|"")*+"|[^(){},"]++', re.DOTALL)
_DIMENSIONS = re.compile(rb"(?:\[[-0-9:]+\])+=")
_ROW_ESCAPE = re.compile(rb'\\(.)|""', re.DOTALL)
_ARRAY_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)

JsonString = Callable[[bytes, str], bytes | None]
"""Takes a decoded string and the key it stands under; returns it, its replacement, or None for JSON null."""
JsonNumber = Callable[[bytes, str], bytes]
"""Takes a number's source and its key; returns the source of what stands instead."""
Leaf = Callable[[bytes, bool], bytes | None]
"""Takes a decoded element and whether it was quoted; returns it, its replacement, or None for NULL."""


def is_json(value: bytes) -> bool:
    """Say whether a text is a JSON object, array or string."""
    if value.lstrip()[:1] not in (b"{", b"[", b'"'):
        return False
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


def decode_json_string(token: bytes) -> bytes | None:
    """Return the UTF-8 text of a quoted JSON string, or None when its escapes are not JSON's."""
    try:
        text = json.loads(token)
    except ValueError:
        return None
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else None


def encode_json_string(text: bytes) -> bytes:
    """Return a quoted JSON string."""
    return json.dumps(text.decode("utf-8", "replace"), ensure_ascii=False).encode()


def rewrite_json(value: bytes, string: JsonString, number: JsonNumber) -> bytes:
    """Return JSON with its strings (keys and values) and numbers rewritten; the same object when none changed."""
    out: list[bytes] = []
    names: list[str] = []
    name, done = "", 0
    for match in _JSON.finditer(value):
        token = match.group()
        first = token[0]
        if first in b"{[":
            names.append(name)
            continue
        if first in b"}]":
            name = names.pop() if names else ""
            continue
        if first != 34:
            written: bytes = number(token, name)
        else:
            is_key = _COLON.match(value, match.end()) is not None
            written, name = _json_string(token, name, is_key, string)
        if written is not token:
            out += (value[done : match.start()], written)
            done = match.end()
    return b"".join((*out, value[done:])) if out else value


def _json_string(token: bytes, name: str, is_key: bool, string: JsonString) -> tuple[bytes, str]:
    """Return what stands for a string token, and the name that the next value stands under."""
    text = decode_json_string(token)
    if text is None:
        text = token[1:-1]
    after = text.decode("utf-8", "replace") if is_key else name
    new = string(text, "" if is_key else name)
    if new is text:
        return token, after
    if new is None:
        return (b'"[redacted]"' if is_key else b"null"), after
    return encode_json_string(new), after


def is_row(value: bytes) -> bool:
    """Say whether a text has the outer shape of an array or composite literal."""
    if value[:1] == b"(":
        return value[-1:] == b")"
    return value[-1:] == b"}" and (value[:1] == b"{" or _DIMENSIONS.match(value) is not None)


def rewrite_row(value: bytes, leaf: Leaf) -> bytes:
    """Return an array or composite literal with its elements rewritten; the same object when none changed."""
    composite = value[:1] == b"("
    start = 0
    dimensions = _DIMENSIONS.match(value)
    if dimensions is not None:
        start = dimensions.end()
    out: list[bytes] = []
    done = 0
    for match in _ROW.finditer(value, start):
        token = match.group()
        quoted = token[:1] == b'"'
        if not quoted and not composite and token.upper() == b"NULL":
            continue
        text = _unquote(token, composite) if quoted else token
        new = leaf(text, quoted)
        if new is not text:
            out += (value[done : match.start()], _quote(new, composite))
            done = match.end()
    return b"".join((*out, value[done:])) if out else value


def _unquote(token: bytes, composite: bool) -> bytes:
    if composite:
        return _ROW_ESCAPE.sub(lambda match: match.group(1) or b'"', token[1:-1])
    return _ARRAY_ESCAPE.sub(rb"\1", token[1:-1])


def _quote(text: bytes | None, composite: bool) -> bytes:
    """Return an element as it stands in a literal. Whole numbers stay bare; everything else is quoted."""
    if text is None:
        return b"" if composite else b"NULL"
    if text.isdigit():
        return text
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
