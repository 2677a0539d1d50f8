"""E-mail addresses (RFC 5321 and RFC 6531 mailboxes without quoted local parts)."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import Detector, Sign, Span

# The domain is found first and the local part is read backwards from the `@`: linear however long the value is.
_DOMAIN = re.compile(
    rb"@(?:[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9\x80-\xff-]{0,61}[A-Za-z0-9\x80-\xff])?\.)+"
    rb"(?:xn--[A-Za-z0-9-]{2,59}|[A-Za-z\x80-\xff]{2,63})(?![A-Za-z0-9\x80-\xff])"
)
_LOCAL = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-" + bytes(range(128, 256))
)
_OPENERS = b"./?&=!#$%'*+^`{|}~-"
LOCAL_BYTES = 256
"""How far back a local part is read; RFC 5321 allows 64, RFC 6531's letters take up to four bytes."""


def _local_start(value: bytes, at: int, floor: int) -> int:
    """Return where the local part before `at` begins."""
    start = at
    floor = max(floor, at - LOCAL_BYTES)
    while start > floor and value[start - 1] in _LOCAL:
        start -= 1
    for stop in (b"=", b"&", b"?"):  # `?user=ann@example.com`: what stands before is a parameter's name
        cut = value.rfind(stop, start, at - 1)
        start = max(start, cut + 1)
    while start < at and value[start] in _OPENERS:
        start += 1
    return start


def find(value: bytes, near: bool) -> list[Span]:
    """Return extents of addresses."""
    spans: list[Span] = []
    floor = 0
    for match in _DOMAIN.finditer(value):
        at = match.start()
        start = _local_start(value, at, floor)
        if start < at and value[at - 1] != 46:
            spans.append((start, match.end()))
            floor = match.end()
    return spans


EMAIL = Detector(
    name="email",
    shape="email",
    find=find,
    signs=(Sign(rb"[^\x00-\x20]@[A-Za-z0-9\x80-\xff\\]", needle=b"@"),),
)
