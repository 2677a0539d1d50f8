"""Reading digits around a place where stage one reports something: native loops, no slices.

Stage one's automata are fastest when they begin with a byte that is rare; what they leave out is looked at here.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

_DIGIT: Final = 1
_LETTER: Final = 2
_BETWEEN: Final = 4


def _kind(byte: int) -> int:
    if 48 <= byte <= 57:
        return _DIGIT
    if 65 <= byte <= 90 or 97 <= byte <= 122:
        return _LETTER
    return _BETWEEN if byte in b"-. )\xe2\xc2" or 128 <= byte <= 191 else 0


_KINDS: Final[bytes] = bytes([_kind(byte) for byte in range(256)])

BETWEEN: Final = rb"[-. )\x80-\xbf\xe2\xc2]"
"""A byte of what may stand between groups of digits, ASCII, UTF-8 or LATIN1: looser than base.SEPARATOR."""

GROUPS: Final = BETWEEN + rb"[0-9]{2,6}" + BETWEEN + rb"{1,6}[0-9]{4}"
"""The end of a number in three or more groups. It begins with a byte that is rare, which makes it quick."""


def kind_at(value: bytes, at: i64) -> i64:
    """Return the kind of the byte at an offset, 0 outside."""
    if at < 0 or at >= len(value):
        return 0
    byte: i64 = value[at]
    found: i64 = _KINDS[byte]
    return found


def grouped(chunk: bytes, end: i64) -> bool:
    """Say whether three digits stand before a match of GROUPS that ends here, seven bytes off at most."""
    at: i64 = _back(chunk, end - 5, _BETWEEN, 6)
    at = _back(chunk, at, _DIGIT, 6)
    at = _back(chunk, at, _BETWEEN, 7)
    return at - _back(chunk, at, _DIGIT, 3) == 3


def _back(chunk: bytes, at: i64, kind: i64, most: i64) -> i64:
    """Return the offset before the bytes of a kind, at most so many, that end at an offset."""
    last: i64 = at - most
    while at > last and kind_at(chunk, at) == kind:
        at -= 1
    return at


def run(chunk: bytes, start: i64, most: i64) -> bytes:
    """Return the run of digits from an offset on; nothing when it is longer than `most` or a letter follows it."""
    at: i64 = start
    while kind_at(chunk, at) == _DIGIT:
        at += 1
        if at - start > most:
            return b""
    return b"" if kind_at(chunk, at) == _LETTER else chunk[start:at]
