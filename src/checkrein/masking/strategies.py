"""The five ways to mask a value, for every neutral kind: what a kind cannot carry becomes NULL."""

from __future__ import annotations

import json

from checkrein.core.maskplan import MaskFunction
from checkrein.core.stars import Partial
from checkrein.core.verdict import MaskDuty
from checkrein.masking import tokens

ORDER = ("null", "redact", "hash", "token", "partial")
"""From the strictest to the mildest."""

REDACTED = b"[redacted]"
HASH_DIGITS = 32
_NEUTRAL: dict[str, bytes] = {"integer": b"0", "numeric": b"0", "uuid": b"00000000-0000-0000-0000-000000000000"}


def strictness(duty: MaskDuty) -> tuple[int, int, bool]:
    """Return a sort key: the smallest is the strictest."""
    rank = ORDER.index(duty.strategy) if duty.strategy in ORDER else -1
    return rank, duty.keep_first + duty.keep_last, duty.joinable


def strictest(duties: list[MaskDuty]) -> MaskDuty:
    """Return the strictest of at least one duty."""
    return min(duties, key=strictness)


def redact_text(duty: MaskDuty) -> bytes:
    """Return the fixed text of a duty."""
    return duty.text.encode() if duty.text else REDACTED


def mask_text(duty: MaskDuty, key: bytes, value: bytes, shape: str) -> bytes | None:
    """Return a masked text, or None for NULL; a strategy that is not known masks as `null`."""
    if duty.strategy == "redact":
        return redact_text(duty)
    if duty.strategy == "partial":
        return Partial(duty.keep_first, duty.keep_last)(value)
    if duty.strategy == "hash":
        return tokens.hexed(key, b"hash", value, HASH_DIGITS)
    if duty.strategy == "token":
        return tokens.SHAPES[shape](key, value)
    return None


def _as_json(duty: MaskDuty, key: bytes, value: bytes) -> bytes | None:
    """Mask a whole JSON value: its text where it is a string, else its source; parts of others are not JSON."""
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        inner = None
    if isinstance(inner, str):
        masked = mask_text(duty, key, inner.encode("utf-8", "surrogatepass"), "like")
    elif duty.strategy == "partial":
        return None
    else:
        masked = mask_text(duty, key, value, "text")
    return None if masked is None else json.dumps(masked.decode("utf-8", "replace"), ensure_ascii=False).encode()


def column_mask(duty: MaskDuty, key: bytes, kind: str) -> MaskFunction:
    """Return the function that masks one column of a neutral kind."""
    strategy = duty.strategy
    if kind == "text" and strategy == "partial":
        return Partial(duty.keep_first, duty.keep_last)
    if kind == "text":
        return lambda value: mask_text(duty, key, value, "like")
    if kind == "json":
        return lambda value: _as_json(duty, key, value)
    if strategy == "redact":
        neutral = _NEUTRAL.get(kind)
        return lambda value: neutral
    if strategy == "token" and kind in ("integer", "uuid"):
        make = tokens.SHAPES[kind]
        return lambda value: make(key, value)
    if strategy == "token" and kind == "numeric":
        return lambda value: _numeric_token(key, value)
    return lambda value: None


def _numeric_token(key: bytes, value: bytes) -> bytes | None:
    """Return digits in the same places; NaN, infinity and exponents have none and become NULL."""
    body = value.lstrip(b"-")
    return tokens.whole(key, value) if body.replace(b".", b"", 1).isdigit() else None
