"""Statements that differ in whole numbers alone share a shape, so that they need not be read again.

A shape keeps every number's length: whatever reading noted of offsets and positions holds for all texts of a shape.
`float(24)` and `float(25)` name different types by the grammar itself, so a text with such a word has no shape.
Only texts of printable ASCII without quotes, comments, dollars or backslashes have one, so that no number stands in
anything but a constant. Whole-text operations do the work: in C they are faster than a compiled loop over characters.
"""

from __future__ import annotations

import re
from typing import Final

_FIT: Final = frozenset(b"\t\n\r !#%&()*+,-./:;<=>?@[]^_`{|}~" + bytes(range(48, 58)) + bytes(range(65, 91)))
"""Printable ASCII and white space but for both quotes, dollar and backslash; lower case beside these."""


def _class_of(byte: int) -> bytes:
    char = bytes((byte,))
    if char.isdigit():
        return b"0"
    if char.isalpha() or char in b"_.":
        return b"a"
    return b" " if byte in _FIT else b"\0"


_CLASSES: Final = b"".join([_class_of(byte) for byte in range(256)])
"""Digits, what may stand in a word beside them, all else that fits, and what does not (zero)."""
_ZEROED: Final = bytes([48 if 48 <= byte <= 57 else byte for byte in range(256)])
_WHOLE: Final = re.compile(rb"(?<![\w.])[0-9]{1,9}(?![\w.])")


def _zeros(match: re.Match[bytes]) -> bytes:
    return b"0" * (match.end() - match.start())


def shape_of(text: str) -> bytes | None:
    """Return the text with its whole numbers of up to nine digits made zeros; None when it has no shape."""
    if not text.isascii():
        return None
    data = text.encode()
    classes = data.translate(_CLASSES)
    # `find`, since `in` takes its left side for a number first, which costs more than the search
    if classes.find(b"\0") >= 0 or data.find(b"--") >= 0 or data.find(b"/*") >= 0:
        return None
    if data.lower().find(b"float") >= 0:
        return None
    if classes.find(b"a0") >= 0 or classes.find(b"0a") >= 0 or classes.find(b"0000000000") >= 0:
        return _WHOLE.sub(_zeros, data)
    return data.translate(_ZEROED)
