"""Telephone numbers: North American (NANP) and international (ITU-T E.164, E.123 notation)."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import (
    GROUPED,
    LEFT,
    RIGHT,
    SEPARATOR,
    Detector,
    Sign,
    Span,
    in_context,
    only_digits,
)

_NEAR_SOURCE = rb"(?i)phone|mobile|msisdn|whatsapp"
NEAR = re.compile(_NEAR_SOURCE)
_S = SEPARATOR + rb"{1,2}"
_NOT_BEFORE = rb"(?<![0-9A-Za-z+])(?<![0-9A-Za-z][-.])"
_EXTENSION = rb"(?:[ ,;]{0,2}(?:x|ext\.?|extension)[ .:]?[0-9]{1,6})?"
_NATIONAL = re.compile(
    _NOT_BEFORE
    + rb"(?:1" + _S + rb"?)?"
    + rb"(?:\([2-9][0-9]{2}\)(?:" + SEPARATOR + rb"{0,2})|[2-9][0-9]{2}" + _S + rb")"
    + rb"[2-9][0-9]{2}" + _S + rb"[0-9]{4}" + _EXTENSION + RIGHT + rb"(?!-[0-9A-Za-z])(?!\.[0-9])"
)  # fmt: skip
_INTERNATIONAL = re.compile(
    rb"(?<![0-9A-Za-z+])(?:\+|00(?=[1-9][0-9]{0,2}[ ]))[1-9]"
    rb"(?:(?:" + SEPARATOR + rb"{0,2}[(/]?(?:0\))?)[0-9]\)?){6,14}" + _EXTENSION + RIGHT
)
_PLAIN = re.compile(LEFT + rb"(?:1?[2-9][0-9]{2}[2-9][0-9]{6}|0[1-9][0-9]{8,9})" + RIGHT)

# Country codes in use (ITU-T E.164 list); one and two digits, the rest of three digits by their first two.
_ONE = (b"1", b"7")
_TWO = frozenset(
    b"20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 "
    b"90 91 92 93 94 95 98".split()
)
_THREE = frozenset(b"21 22 23 24 25 26 29 35 37 38 42 50 59 67 68 69 80 85 87 88 96 97 99".split())


def nanp(digits: bytes) -> bool:
    """Say whether ten digits (or eleven with a leading 1) fit the numbering plan: area and exchange 2-9, not N11."""
    if len(digits) == 11 and digits[:1] == b"1":
        digits = digits[1:]
    if len(digits) != 10 or digits[0] < 50 or digits[3] < 50:
        return False
    return digits[1:3] != b"11" and digits[4:6] != b"11"


def e164(digits: bytes) -> bool:
    """Say whether the digits after the plus begin with a country code that is in use and have a possible length."""
    if digits[:1] == b"1":
        return len(digits) == 11 and digits[1] >= 50
    known = digits[:1] in _ONE or digits[:2] in _TWO or digits[:2] in _THREE
    return known and 8 <= len(digits) <= 15


def _international(match: re.Match[bytes]) -> bool:
    number = re.split(rb"[ ,;]{0,2}(?:x|ext)", match.group(), maxsplit=1)[0]
    digits = only_digits(number.replace(b"(0)", b""))
    return e164(digits[2:] if number.startswith(b"00") else digits)


def _national(match: re.Match[bytes]) -> bool:
    return nanp(only_digits(re.split(rb"[ ,;]{0,2}(?:x|ext)", match.group(), maxsplit=1)[0]))


def find(value: bytes, near: bool) -> list[Span]:
    """Return extents. Ten bare digits count only in context: order numbers look like them."""
    spans = [match.span() for match in _INTERNATIONAL.finditer(value) if _international(match)]
    spans += [match.span() for match in _NATIONAL.finditer(value) if _national(match)]
    for match in _PLAIN.finditer(value):
        start, end = match.span()
        if near or in_context(NEAR, value, start, end):
            spans.append((start, end))
    return spans


def is_number(digits: bytes, near: bool) -> bool:
    """Say whether a whole number is one: only where the column's name says so."""
    return near and (nanp(digits) or (9 <= len(digits) <= 15 and e164(digits)))


PHONE = Detector(
    name="phone",
    shape="phone",
    find=find,
    stage_one=(_NEAR_SOURCE,),
    signs=(
        GROUPED,
        Sign(rb"\+[1-9]" + SEPARATOR + rb"{0,2}[(/]?[0-9]", needle=b"+"),
        Sign(rb"00[1-9][0-9]{0,2} ", needle=b"00"),
    ),
    near=NEAR,
    near_columns=re.compile(rb" (?:tel|telephone|cell|fax|phones?|sms|gsm|handy) "),
    near_stage_one=(rb"[0-9]{8}",),
    is_number=is_number,
)
