"""Masks what detectors find, in values of every neutral kind (core.maskplan.Scanner)."""

from __future__ import annotations

import binascii
import re

from checkrein.core.verdict import MaskDuty
from checkrein.masking import strategies, tokens, walk
from checkrein.masking.recognise import SUSPICIOUS, Finding, Recogniser, unescape

_WHOLE = re.compile(rb"-?([0-9]{1,32})(?:\.0*)?")
_HEX = re.compile(rb"\\x((?:[0-9a-fA-F]{2})+)")
_OCTAL = re.compile(rb"\\(?:\\|([0-3][0-7]{2}))")
_UNPRINTABLE = re.compile(rb"[\x00-\x1f\x7f-\xff\\]")
_NEVER = frozenset(("boolean", "uuid", "timestamp"))
NESTED = 4
"""Structures inside strings that are opened: JSON in JSON, arrays of composites; deeper ones are read as plain text."""


class Duty:
    """How the findings of one detector are masked, and under which key and name they are counted."""

    __slots__ = ("duty", "key", "name", "shape")

    def __init__(self, name: str, duty: MaskDuty, key: bytes, shape: str) -> None:
        self.name = name
        self.duty = duty
        self.key = key
        self.shape = shape


class DetectScanner:
    """The scanner of one duty set: a shared recogniser, and a duty for each of its detectors.

    Stage one reads bytes as they stand on the wire. It can answer for text forms and for binary forms that hold the
    text itself; integers, numerics and arrays of them in a binary format must be given to `rewrite` in text form
    whatever `hit` says. A value is hit in one piece, and what stands beside it in a chunk is a line feed.
    """

    __slots__ = ("_duties", "_recogniser")

    def __init__(self, recogniser: Recogniser, duties: tuple[Duty, ...]) -> None:
        self._recogniser = recogniser
        self._duties = duties

    def hit(self, chunk: bytes) -> bool:
        """Say whether anything may be found in values joined by line feeds; never a false no."""
        return self._recogniser.hit(chunk)

    def places(self, chunk: bytes) -> list[int] | None:
        """Return where in values joined by line feeds something may be found; None: anywhere."""
        return self._recogniser.places(chunk)

    def takes_integers(self, column: str, digits: int) -> bool:
        """Say whether a whole number of at most so many digits may be found in a column of this name."""
        recogniser = self._recogniser
        return bool(recogniser.near(column)) or any(0 < one.least_digits <= digits for one in recogniser.detectors)

    def rewrite(self, value: bytes, column: str, kind: str, counts: dict[str, int]) -> bytes | None:
        """Return one value with what was found masked; the same object when nothing was, None for NULL."""
        near = self._recogniser.near(column)
        if kind == "integer" or kind == "numeric":
            return self._number(value, near, counts)
        if kind in _NEVER:
            return value
        work = _Rewriting(self._recogniser, self._duties, near, counts)
        if kind == "bytes":
            return work.binary(value)
        work.candidates = self._recogniser.candidates(value)
        if not work.candidates and not (near and kind in ("array", "composite", "json")):
            return value
        if kind == "json":
            return work.json(value, 0)
        if kind == "array" or kind == "composite":
            return work.structured(value, 0)
        written = work.text(value, near, 0)
        return written if kind == "text" or written is value else None

    def _number(self, value: bytes, near: frozenset[int], counts: dict[str, int]) -> bytes | None:
        return _Rewriting(self._recogniser, self._duties, near, counts).number(value, near)


class _Rewriting:
    """The rewriting of one value: what may be found in it, what its column's name says, and the counts."""

    __slots__ = ("candidates", "counts", "duties", "near", "recogniser")

    def __init__(
        self, recogniser: Recogniser, duties: tuple[Duty, ...], near: frozenset[int], counts: dict[str, int]
    ) -> None:
        self.recogniser = recogniser
        self.duties = duties
        self.near = near
        self.counts = counts
        self.candidates: frozenset[int] = recogniser.everything

    def text(self, value: bytes, near: frozenset[int], depth: int) -> bytes | None:
        """Mask a text; one that is JSON as a whole is read as such."""
        if depth < NESTED and walk.is_json(value):
            return self.json(value, depth)
        written = self.plain(value, near)
        if written is value and SUSPICIOUS.search(value) is not None:
            decoded = unescape(value)
            other = self.plain(decoded, near)
            return value if other is decoded else other
        return written

    def plain(self, value: bytes, near: frozenset[int]) -> bytes | None:
        """Mask the findings in a text without structure."""
        found = self.recogniser.find(value, self.candidates, near)
        if not found:
            return value
        out: list[bytes] = []
        done = 0
        for start, end, duty in self._merged(found):
            masked = strategies.mask_text(duty.duty, duty.key, value[start:end], duty.shape)
            self.counts[duty.name] = self.counts.get(duty.name, 0) + 1
            if masked is None:
                return None
            out += (value[done:start], masked)
            done = end
        return b"".join((*out, value[done:]))

    def _merged(self, found: list[Finding]) -> list[tuple[int, int, Duty]]:
        """Return disjoint extents: overlapping ones become one, masked by the strictest of their duties."""
        merged: list[tuple[int, int, Duty]] = []
        for finding in found:
            duty = self.duties[finding.detector]
            if not merged or finding.start >= merged[-1][1]:
                merged.append((finding.start, finding.end, duty))
                continue
            start, end, first = merged[-1]
            stricter = strategies.strictness(duty.duty) < strategies.strictness(first.duty)
            one = duty if stricter else first
            if finding.end > end or (stricter and finding.end - finding.start < end - start):
                one = Duty(one.name, one.duty, one.key, "text")
            merged[-1] = (start, max(end, finding.end), one)
        return merged

    def json(self, value: bytes, depth: int) -> bytes:
        """Mask the strings, keys and numbers of a JSON text."""

        def string(text: bytes, name: str) -> bytes | None:
            return self.text(text, self._named(name), depth + 1)

        def number(token: bytes, name: str) -> bytes:
            return self._json_number(token, self._named(name))

        return walk.rewrite_json(value, string, number)

    def _named(self, name: str) -> frozenset[int]:
        return self.near | self.recogniser.near(name) if name else self.near

    def _json_number(self, token: bytes, near: frozenset[int]) -> bytes:
        duty, digits = self._number_duty(token, near)
        if duty is None:
            return token
        masked = strategies.mask_text(duty.duty, duty.key, digits, duty.shape)
        if masked is None:
            return b"null"
        return masked if masked.isdigit() and masked[:1] != b"0" else walk.encode_json_string(masked)

    def _number_duty(self, value: bytes, near: frozenset[int]) -> tuple[Duty | None, bytes]:
        match = _WHOLE.fullmatch(value)
        index = self.recogniser.number(match.group(1), near) if match is not None else -1
        if match is None or index < 0:
            return None, b""
        duty = self.duties[index]
        self.counts[duty.name] = self.counts.get(duty.name, 0) + 1
        return duty, match.group(1)

    def number(self, value: bytes, near: frozenset[int]) -> bytes | None:
        """Mask a whole number: a token has digits that fit its type, redact gives 0, all else NULL."""
        duty, digits = self._number_duty(value, near)
        if duty is None:
            return value
        if duty.duty.strategy == "redact":
            return b"0"
        if duty.duty.strategy != "token":
            return None
        shape = "card" if duty.shape == "card" and len(digits) < 19 else "integer"
        return tokens.SHAPES[shape](duty.key, digits)

    def structured(self, value: bytes, depth: int) -> bytes | None:
        """Mask the elements of an array or composite literal."""
        if not walk.is_row(value):
            return self.text(value, self.near, depth)

        def leaf(text: bytes, quoted: bool) -> bytes | None:
            return self._element(text, quoted, depth + 1)

        return walk.rewrite_row(value, leaf)

    def _element(self, text: bytes, quoted: bool, depth: int) -> bytes | None:
        if not quoted and _WHOLE.fullmatch(text) is not None:
            return self.number(text, self.near)
        if _HEX.fullmatch(text) is not None:
            return self.binary(text)
        if depth < NESTED and walk.is_row(text) and not walk.is_json(text):
            written = self.structured(text, depth)
            if written is not text:
                return written
        return self.text(text, self.near, depth)

    def binary(self, value: bytes) -> bytes | None:
        """Mask text inside a byte string, given in hexadecimal or escape form (PostgreSQL manual 8.4)."""
        match = _HEX.fullmatch(value)
        decoded = binascii.unhexlify(match.group(1)) if match is not None else _OCTAL.sub(_octet, value)
        outer, self.candidates = self.candidates, self.recogniser.candidates(decoded)
        written = self.text(decoded, self.near, 0) if self.candidates else decoded
        self.candidates = outer
        if written is decoded:
            return value
        if written is None:
            return None
        return b"\\x" + binascii.hexlify(written) if match is not None else _UNPRINTABLE.sub(_escape, written)


def _octet(match: re.Match[bytes]) -> bytes:
    octal = match.group(1)
    return b"\\" if octal is None else bytes((int(octal, 8),))


def _escape(match: re.Match[bytes]) -> bytes:
    byte = match.group()
    return b"\\\\" if byte == b"\\" else b"\\%03o" % byte[0]
