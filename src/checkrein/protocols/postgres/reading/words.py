"""Words that the server reads otherwise than the grammar here: a text with one of them cannot be read as it will be."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from checkrein.protocols.postgres import known
from checkrein.protocols.postgres.reading import literals

_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*")


@lru_cache(maxsize=32)
def _changed(server_version: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words that changed wherever they stand, and those that did right before a parenthesis."""
    return known.changed_words(server_version), known.changed_calls(server_version)


def changed_word(data: bytes, server_version: int) -> str:
    """Return the first word of a text that means something else on that server, or an empty string.

    A cheap search for the words comes first; only where one is found is the text scanned for where it stands.
    """
    anywhere, calls = _changed(server_version)
    lowered = data.decode(errors="ignore").lower()
    if not any(word in anywhere or word in calls for word in _WORD.findall(lowered)):
        return ""
    position = literals.skip(data, 0)
    while position < len(data):
        end = literals.token_end(data, position)
        word = data[position:end].decode(errors="ignore").lower()
        position = literals.skip(data, end)
        if word in anywhere or (word in calls and data[position : position + 1] == b"("):
            return word
    return ""
