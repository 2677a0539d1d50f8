"""JSON Web Tokens (RFC 7519) in compact form: signed, unsecured or encrypted, with a header that decodes."""

from __future__ import annotations

import base64
import binascii
import json
import re

from checkrein.masking.detectors.base import Detector, Span

_TOKEN = re.compile(
    rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))(e[yw][A-Za-z0-9_-]{8,8190})\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"
    rb"(?:\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*)?"
)


def _is_header(text: bytes) -> bool:
    """Say whether base64url text decodes to a JSON object with an `alg` (RFC 7515, section 4.1.1)."""
    try:
        header = json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def find(value: bytes, near: bool) -> list[Span]:
    """Return extents of tokens."""
    return [match.span() for match in _TOKEN.finditer(value) if _is_header(match.group(1))]


JWT = Detector(
    name="jwt",
    shape="key",
    find=find,
    stage_one=(rb"e[yw][A-Za-z0-9_-]{8,}\.",),
)
