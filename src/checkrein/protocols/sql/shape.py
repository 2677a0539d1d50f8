"""Statements that differ in whole numbers alone share a shape, so that they need not be read again.

A shape keeps every number's length: whatever reading noted of offsets and positions holds for all texts of a shape.
Only texts of printable ASCII without quotes, comments, dollars or backslashes have one, so that no number stands in
anything but a constant. Regular expressions do the work: in C they are faster than a compiled byte loop over a str.
"""

from __future__ import annotations

import re
from typing import Final

_FIT: Final = re.compile(r"[\t\n\r !#%&(-\[\]-~]*")
"""Printable ASCII and white space but for both quotes, dollar and backslash."""
_WHOLE: Final = re.compile(r"(?<![\w.])[0-9]{1,9}(?![\w.])")
_ZEROS: Final = tuple("0" * length for length in range(10))


def _zeros(match: re.Match[str]) -> str:
    return _ZEROS[match.end() - match.start()]


def shape_of(text: str) -> str | None:
    """Return the text with its whole numbers of up to nine digits made zeros; None when it has no shape."""
    if _FIT.fullmatch(text) is None or "--" in text or "/*" in text:
        return None
    return _WHOLE.sub(_zeros, text)
