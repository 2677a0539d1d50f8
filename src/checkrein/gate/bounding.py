"""What of very long texts and parameters the journal and approvers get: the head, the size, the digest."""

from __future__ import annotations

import hashlib
from typing import Final

from checkrein.core.limits import EVENT_BYTES, STATEMENT_BYTES

HEAD: Final = 1024
"""Characters of a value that is cut."""


def bounded(text: str, parameters: list[str | None] | None) -> tuple[str, list[str | None] | None]:
    """Return text and parameters as an event may hold them.

    A text longer than STATEMENT_BYTES, which is refused unread unless a rule vouches for all of it, and parameters that
    together are longer than EVENT_BYTES keep their heads; the SHA-256 says what the rest was.
    """
    if len(text) > STATEMENT_BYTES:
        text = _cut(text, HEAD)
    if not parameters or sum([len(one) for one in parameters if one is not None]) <= EVENT_BYTES:
        return text, parameters
    head = min(HEAD, EVENT_BYTES // len(parameters))
    return text, [one if one is None or len(one) <= max(head, 128) else _cut(one, head) for one in parameters]


def _cut(text: str, head: int) -> str:
    data = text.encode(errors="replace")
    return f"{text[:head]} ... {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
