"""United States social security numbers, as the Social Security Administration has issued them since 2011."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import (
    GROUPED,
    LEFT,
    RIGHT,
    SEPARATOR,
    Detector,
    Span,
    in_context,
    only_digits,
)

_NEAR_SOURCE = rb"(?i)ssn|soc(?:ial)?[ _.-]{0,2}sec|taxpayer[ _-]?id"
NEAR = re.compile(_NEAR_SOURCE)
_DASHED = re.compile(LEFT + rb"[0-9]{3}(" + SEPARATOR + rb")[0-9]{2}\1[0-9]{4}" + RIGHT)
_PLAIN = re.compile(LEFT + rb"[0-9]{9}" + RIGHT)
_PART_BEFORE = re.compile(rb"[0-9A-Za-z][-.]\Z")
_PART_AFTER = re.compile(rb"[-.][0-9A-Za-z]")


def assignable(digits: bytes) -> bool:
    """Say whether nine digits may be a number: area not 000, 666 or 9xx, group not 00, serial not 0000."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return len(digits) == 9 and area not in (b"000", b"666") and area < b"900" and group != b"00" and serial != b"0000"


def _is_part(value: bytes, start: int, end: int) -> bool:
    """Say whether the digits are a piece of something longer that is joined by hyphens or dots."""
    return bool(_PART_BEFORE.search(value, max(0, start - 2), start) or _PART_AFTER.match(value, end))


def _dashed(value: bytes, match: re.Match[bytes], near: bool) -> bool:
    start, end = match.span()
    if not assignable(only_digits(match.group())):
        return False
    if match.group(1) in (b" ", b"."):  # three numbers side by side look like this: the whole value, or in context
        return near or (start == 0 and end == len(value)) or in_context(NEAR, value, start, end)
    return near or not _is_part(value, start, end) or in_context(NEAR, value, start, end)


def find(value: bytes, near: bool) -> list[Span]:
    """Return extents. Nine bare digits count only in context: 88 % of random ones pass the rules."""
    spans = [match.span() for match in _DASHED.finditer(value) if _dashed(value, match, near)]
    for match in _PLAIN.finditer(value):
        start, end = match.span()
        if assignable(match.group()) and (near or in_context(NEAR, value, start, end)):
            spans.append((start, end))
    return spans


def is_number(digits: bytes, near: bool) -> bool:
    """Say whether a whole number is one; integers have lost their leading zeros."""
    return near and 7 <= len(digits) <= 9 and assignable(digits.rjust(9, b"0"))


US_SSN = Detector(
    name="us_ssn",
    shape="ssn",
    find=find,
    stage_one=(_NEAR_SOURCE,),
    signs=(GROUPED,),
    near=NEAR,
    near_columns=re.compile(rb" (?:ssn|sin|tin|social) "),
    near_stage_one=(rb"[0-9]{7}",),
    is_number=is_number,
)
