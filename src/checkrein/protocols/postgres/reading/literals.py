"""Where constants and words stand in a text: the scanner's rules (PostgreSQL manual 4.1) for what offsets need.

Works on UTF-8 bytes. Only used where the tree gives a start and no end; it never decides what a text means.
"""

from __future__ import annotations

import re
from typing import Final

_SKIP: Final = re.compile(rb"(?:[ \t\r\n\f\v]+|--[^\r\n]*)+")
_NUMBER: Final = re.compile(rb"[0-9.][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+)?")
_WORD: Final = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_DOLLAR: Final = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_PLAIN: Final = re.compile(rb"'(?:[^']|'')*'")
_ESCAPED: Final = re.compile(rb"'(?:[^'\\]|''|\\.)*'", re.S)
_QUOTED: Final = re.compile(rb'"(?:[^"]|"")*"')


def skip(data: bytes, position: int) -> int:
    """Return where the next token starts: behind white space and comments, nested ones included."""
    while position < len(data):
        match = _SKIP.match(data, position)
        if match is not None:
            position = match.end()
        elif data.startswith(b"/*", position):
            position = _comment_end(data, position)
        else:
            break
    return position


def _comment_end(data: bytes, position: int) -> int:
    """Return the end of a block comment that starts here."""
    depth = 0
    for match in re.finditer(rb"/\*|\*/", data[position:]):
        depth += 1 if match.group() == b"/*" else -1
        if depth == 0:
            return position + match.end()
    return len(data)


def token_end(data: bytes, position: int) -> int:
    """Return the end of the token that starts here; a string goes on over following parts on other lines."""
    head = data[position : position + 3].lower()
    if head[:1] == b"'" or head[:2] in (b"e'", b"b'", b"x'", b"n'") or head == b"u&'":
        return _string_end(data, position)
    for pattern in (_QUOTED, _DOLLAR, _NUMBER, _WORD):
        match = pattern.match(data, position)
        if match is None:
            continue
        if pattern is _DOLLAR:
            close = data.find(match.group(), match.end())
            return len(data) if close < 0 else close + len(match.group())
        return match.end()
    return min(position + 1, len(data))


def _string_end(data: bytes, position: int) -> int:
    """Return the end of a quoted string with its continuations (manual 4.1.2.1)."""
    quote = data.index(b"'", position)
    escaped = data[position : position + 1] in b"eE" and quote > position
    pattern = _ESCAPED if escaped else _PLAIN
    match = pattern.match(data, quote)
    end = len(data) if match is None else match.end()
    while True:
        after = _SKIP.match(data, end)
        if (
            after is None
            or (b"\n" not in after.group() and b"\r" not in after.group())
            or data[after.end() :][:1] != b"'"
        ):
            return end
        match = _PLAIN.match(data, after.end()) if not escaped else _ESCAPED.match(data, after.end())
        end = len(data) if match is None else match.end()


def word_after(data: bytes, position: int, words: frozenset[bytes]) -> int:
    """Return where the token behind the first of these (lower-case) words outside parentheses starts, or -1."""
    depth = 0
    position = skip(data, position)
    while position < len(data):
        end = token_end(data, position)
        token = data[position:end].lower()
        if token == b"(":
            depth += 1
        elif token == b")":
            depth -= 1
        elif depth == 0 and token in words:
            return skip(data, end)
        position = skip(data, end)
    return -1


def group_end(data: bytes, position: int) -> int:
    """Return where the parenthesis that opens here closes (the offset of the closing one), or -1."""
    depth = 0
    while position < len(data):
        end = token_end(data, position)
        token = data[position:end]
        if token == b"(":
            depth += 1
        elif token == b")":
            depth -= 1
            if depth == 0:
                return position
        position = skip(data, end)
    return -1
