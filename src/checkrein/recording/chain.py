"""Events to lines: JSON encoding and the hash chain (hot path: compiled by mypyc, no I/O).

A line is `{"seq":N,"at":S,"mono":S,"prev":"HEX","kind":"K",...fields}`; `prev` is the SHA-256 of the line before
without its newline, 64 zeros for a session's first. `seq` counts from 0 without a hole.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec

from checkrein.core.errors import Unavailable
from checkrein.core.limits import LINE_BYTES

START: Final = "0" * 64
ENVELOPE: Final = 5
"""Fields that every event begins with: seq, at, mono, prev and kind."""

_encode: Final = msgspec.json.Encoder().encode
_EMPTY: Final = sha256()


class Chain:
    """The buffered end of one chain: lines that are encoded and hashed but not yet written.

    `seq` is the next event's number and `prev` the hash it will carry. `take` gives what must be written; then exactly
    one of `commit` (it is on disk) and `roll_back` (it is not: the numbers are given again) follows.
    """

    __slots__ = ("_lines", "_written_prev", "_written_seq", "prev", "seq")

    def __init__(self, seq: int = 0, prev: str = START) -> None:
        self.seq = seq
        self.prev = prev
        self._written_seq = seq
        self._written_prev = prev
        self._lines: list[bytes] = []

    def add(self, kind: str, fields: dict[str, Any], at: float, mono: float, encoded: bytes = b"") -> None:
        """Encode one event behind the last; `encoded` holds further members of it that are JSON already.

        Raises Unavailable when it cannot be encoded or is over LINE_BYTES.
        """
        event: dict[str, Any] = {
            "seq": self.seq,
            "at": _microseconds(at),
            "mono": _microseconds(mono),
            "prev": self.prev,
            "kind": kind,
        }
        event.update(fields)
        if len(event) != ENVELOPE + len(fields):
            raise Unavailable(f"an event of kind {kind} carries a field of the envelope")
        try:
            line = _encode(event)
        except (TypeError, ValueError) as error:  # lone surrogates are a ValueError
            raise Unavailable(f"the journal cannot encode an event of kind {kind}: {type(error).__name__}") from error
        if encoded:
            line = b"".join((line[:-1], b",", encoded, b"}"))
        if len(line) > LINE_BYTES:
            raise Unavailable(f"an event of kind {kind} is longer than a journal line may be")
        digest = _EMPTY.copy()  # a copy is cheaper than looking the algorithm up again
        digest.update(line)
        self.prev = digest.hexdigest()
        self.seq += 1
        self._lines.append(line)
        self._lines.append(b"\n")

    @property
    def pending(self) -> int:
        """How many events are buffered."""
        return self.seq - self._written_seq

    def take(self) -> bytes:
        """Return the buffered lines as one piece; empty when there are none."""
        return b"".join(self._lines)

    def commit(self) -> None:
        """What `take` gave is written."""
        self._lines.clear()
        self._written_seq = self.seq
        self._written_prev = self.prev

    def roll_back(self) -> int:
        """What `take` gave is not on disk and must not count; return how many events are lost."""
        lost = self.pending
        self._lines.clear()
        self.seq = self._written_seq
        self.prev = self._written_prev
        return lost


def _microseconds(seconds: float) -> float:
    """Return the moment cut to microseconds: the encoder writes no more digits than tell a number from others."""
    return int(seconds * 1e6) / 1e6
