"""Private keys: PEM (RFC 7468, OpenSSH, OpenPGP armour), PuTTY and age files."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import Detector, Span

_BEGIN = re.compile(rb"-{4,5} ?BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_END = re.compile(rb"-{4,5} ?END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_OTHER = re.compile(rb"AGE-SECRET-KEY-1[0-9A-Z]{20,}|PuTTY-User-Key-File-[0-9](?s:.{0,65536})Private-MAC: [0-9a-f]*")


def find(value: bytes, near: bool) -> list[Span]:
    """Return extents. A block without its last line reaches to the end of the value: it was cut, not closed."""
    spans = [match.span() for match in _OTHER.finditer(value)]
    place = 0
    while (begin := _BEGIN.search(value, place)) is not None:
        end = _END.search(value, begin.end())
        place = end.end() if end is not None else len(value)
        spans.append((begin.start(), place))
    return spans


PRIVATE_KEY = Detector(
    name="private_key",
    shape="key",
    find=find,
    stage_one=(rb"PRIVATE KEY", rb"AGE-SECRET-KEY-1", rb"PuTTY-User-Key-File-"),
)
