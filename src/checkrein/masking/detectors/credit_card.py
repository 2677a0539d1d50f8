"""Payment card numbers: issuer range, exact length, Luhn check digit (ISO/IEC 7812)."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import (
    BORDER,
    GROUPED,
    LEFT,
    RIGHT,
    SEPARATOR,
    Detector,
    Sign,
    Span,
    luhn,
    only_digits,
)
from checkrein.masking.digits import run

# First digits, as (low, high, lengths). Visa's 13 digits are no longer issued, and one millisecond timestamp in ten
# passes Luhn, so they are left out. 19 digits are UnionPay's, Discover's and JCB's; Visa's only where grouped.
ISSUERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("4", "4", (16,)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),  # Mastercard, 2-series
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("6011", "6011", (16, 19)),  # Discover
    ("644", "649", (16, 19)),
    ("65", "65", (16, 19)),
    ("300", "305", (14, 16)),  # Diners Club
    ("3095", "3095", (14, 16)),
    ("36", "36", (14, 16)),
    ("38", "39", (14, 16)),
    ("3528", "3589", (16, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("2200", "2204", (16,)),  # Mir
    ("5018", "5018", (16, 19)),  # Maestro
    ("5020", "5020", (16, 19)),
    ("5038", "5038", (16, 19)),
    ("5893", "5893", (16, 19)),
    ("6304", "6304", (16, 19)),
    ("6759", "6759", (16, 19)),
    ("6761", "6763", (16, 19)),
    ("60", "60", (16,)),  # RuPay and Discover's debit ranges
    ("81", "82", (16,)),  # RuPay
    ("508", "508", (16,)),
)

_S = SEPARATOR + rb"{1,2}"
_GROUPED = rb"[2-68][0-9]{3}" + (_S + rb"[0-9]{4}") * 3 + rb"(?:" + _S + rb"[0-9]{3}(?![0-9]))?"
_AMEX = rb"3[47][0-9]{2}" + _S + rb"[0-9]{6}" + _S + rb"[0-9]{5}"
_DINERS = rb"3[0689][0-9]{2}" + _S + rb"[0-9]{6}" + _S + rb"[0-9]{4}"
_PLAIN = rb"[2-68][0-9]{13,18}"
_CARD = re.compile(LEFT + rb"(?:" + rb"|".join((_AMEX, _DINERS, _GROUPED, _PLAIN)) + rb")" + RIGHT)
_FRACTION_BEFORE = re.compile(rb"[0-9][.,]\Z")
_FRACTION_AFTER = re.compile(rb"[.,](?!0+(?![0-9]))[0-9]")


def issued(digits: bytes) -> bool:
    """Say whether an issuer uses this prefix at this length."""
    text = digits.decode("ascii")
    return any(low <= text[: len(low)] <= high and len(text) in lengths for low, high, lengths in ISSUERS)


def is_card(digits: bytes) -> bool:
    """Say whether ASCII digits are a card number."""
    return issued(digits) and luhn(digits)


def _accept(value: bytes, start: int, end: int) -> Span | None:
    """Return the extent of the card in `value[start:end]`, without a trailing group that belongs to what follows."""
    found = value[start:end]
    digits = only_digits(found)
    grouped = len(digits) != len(found)
    if is_card(digits) or (grouped and len(digits) == 19 and digits[:1] == b"4" and luhn(digits)):
        return start, end
    if grouped and len(digits) == 19 and is_card(digits[:16]):  # `4111 1111 1111 1111 123`: the last three are the CVV
        return start, end
    return None


def find(value: bytes, near: bool) -> list[Span]:
    """Return the extents of card numbers. The digits of a decimal fraction are none."""
    spans: list[Span] = []
    for match in _CARD.finditer(value):
        start, end = match.span()
        if _FRACTION_BEFORE.search(value, max(0, start - 2), start) or _FRACTION_AFTER.match(value, end):
            continue
        span = _accept(value, start, end)
        if span is not None:
            spans.append(span)
    return spans


def is_number(digits: bytes, near: bool) -> bool:
    """Say whether a whole number is a card; above 16 digits only beside a name that says so (random 64-bit ids)."""
    return (near or len(digits) <= 16) and is_card(digits)


_FIRST = 14


def begins(chunk: bytes, end: int) -> bool:
    """Say whether the run of digits that begins 14 bytes before `end` is, as a whole, a card."""
    return is_card(run(chunk, end - _FIRST, 19))


CREDIT_CARD = Detector(
    name="credit_card",
    shape="card",
    find=find,
    near_columns=re.compile(rb" (?:pan|cc|card|credit|debit|cardno|cardnumber|ccnum) "),
    is_number=is_number,
    signs=(GROUPED, Sign(BORDER + rb"[2-68][0-9]{13}", confirm=begins)),
    least_digits=_FIRST,
)
