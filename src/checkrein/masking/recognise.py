"""Detectors compiled together: stage one over whole chunks, stage two in one value.

A set is compiled once per list of detectors and shared by everybody; what a policy does not ask for is not compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import hyperscan
import re2

from checkrein.core import limits
from checkrein.masking.detectors import Detector

# Escapes behind which a value could hide from stage one: JSON's `\uXXXX` of ASCII and of the separators that detectors
# know, hexadecimal bytea, octal bytea escapes. They make stage one say yes, so that stage two reads the decoded value.
_ESCAPES = (
    rb"\\u(?:00[2-7aA]|20[0-2]|2212)",
    rb"\\x[0-9a-fA-F]{8}",
    rb"\\[0-3][0-7]{2}",
)
_CUSTOM_ESCAPES = (rb"\\", rb'""')
"""A policy's own pattern may match quotes, backslashes and control characters: any escape may hide it."""


_ESCAPED = 0xFFFF
"""The report that something is escaped; others are a detector's index, plus _CONFIRM where it has to be confirmed."""
_CONFIRM = 0x10000


class _Scan:
    """What the reports of one scan need: the bytes, the detectors, and what was found so far."""

    __slots__ = ("chunk", "detectors", "found")

    def __init__(self, chunk: bytes, detectors: tuple[Detector, ...]) -> None:
        self.chunk = chunk
        self.detectors = detectors
        self.found: set[int] = set()


def _real(ident: int, end: int, scan: _Scan) -> bool:
    if ident < _CONFIRM:
        return True
    confirm = scan.detectors[ident - _CONFIRM].confirm
    return confirm is None or confirm(scan.chunk, end)


def _collect(ident: int, start: int, end: int, flags: int, scan: _Scan) -> None:
    if ident & 0xFFFF not in scan.found and _real(ident, end, scan):
        scan.found.add(ident & 0xFFFF)


def _stop(ident: int, start: int, end: int, flags: int, scan: _Scan) -> bool:
    return _real(ident, end, scan)


class Finding:
    """One thing found: its extent, and the index of the detector that found it."""

    __slots__ = ("detector", "end", "start")

    def __init__(self, start: int, end: int, detector: int) -> None:
        self.start = start
        self.end = end
        self.detector = detector


class Recogniser:
    """Detectors compiled together. `active` are indices whose context is given by a column's name.

    Raises ValueError when the patterns cannot be compiled.
    """

    def __init__(self, detectors: tuple[Detector, ...], active: frozenset[int]) -> None:
        self.detectors = detectors
        self.everything = frozenset(range(len(detectors)))
        self._names: dict[str, frozenset[int]] = {}
        self._custom = tuple(
            (index, re2.compile(detector.custom.encode()))
            for index, detector in enumerate(detectors)
            if detector.custom
        )
        patterns = [(source, index) for index, one in enumerate(detectors) for source in one.stage_one]
        patterns += [(source, index) for index in sorted(active) for source in detectors[index].near_stage_one]
        escapes = _ESCAPES + _CUSTOM_ESCAPES if self._custom else _ESCAPES
        patterns += [(source, _ESCAPED) for source in escapes]
        patterns += [(one.confirmed_stage_one, index + _CONFIRM) for index, one in enumerate(detectors) if one.confirm]
        self._database = _compile(patterns)

    def hit(self, chunk: bytes) -> bool:
        """Say whether anything may be found in a chunk; never a false no."""
        try:
            self._database.scan(chunk, _stop, context=_Scan(chunk, self.detectors))
        except hyperscan.error:  # ended by the first match; or another thread holds the scratch space, which is a yes
            return True
        return any(pattern.search(chunk) is not None for _, pattern in self._custom)

    def candidates(self, value: bytes) -> frozenset[int]:
        """Return the indices of detectors that may find something in a value."""
        scan = _Scan(value, self.detectors)
        try:
            self._database.scan(value, _collect, context=scan)
        except hyperscan.error:
            return self.everything
        if _ESCAPED in scan.found:
            return self.everything
        scan.found.update(index for index, pattern in self._custom if pattern.search(value) is not None)
        return frozenset(scan.found)

    def near(self, name: str) -> frozenset[int]:
        """Return the indices of detectors to which a column's or key's name gives context."""
        known = self._names.get(name)
        if known is None:
            known = frozenset(index for index, one in enumerate(self.detectors) if one.is_near(name))
            if len(self._names) >= limits.MASK_NAMES:
                self._names.clear()
            self._names[name] = known
        return known

    def find(self, value: bytes, candidates: Iterable[int], near: frozenset[int]) -> list[Finding]:
        """Return findings in order of their place; they may overlap."""
        found = [
            Finding(start, end, index)
            for index in candidates
            for start, end in self.detectors[index].find(value, index in near)
        ]
        found.sort(key=_place)
        return found

    def number(self, digits: bytes, near: frozenset[int]) -> int:
        """Return the index of the detector that takes a whole number for its kind, or -1."""
        for index, detector in enumerate(self.detectors):
            if detector.is_number(digits, index in near):
                return index
        return -1


def _place(finding: Finding) -> tuple[int, int]:
    return finding.start, -finding.end


def _compile(patterns: list[tuple[bytes, int]]) -> Any:
    """Compile stage one: block mode, one report per pattern, no start of match. Several patterns may share an index."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[source for source, _ in patterns],
            ids=[index for _, index in patterns],
            elements=len(patterns),
            flags=[_flags(ident) for _, ident in patterns],
        )
    except hyperscan.error as error:
        raise ValueError(f"detectors do not compile: {error}") from None
    return database


def _flags(ident: int) -> int:
    once = 0 if ident >= _CONFIRM else hyperscan.HS_FLAG_SINGLEMATCH
    return int(once | hyperscan.HS_FLAG_DOTALL)


SUSPICIOUS = re.compile(rb"\\u(00[2-7][0-9a-fA-F])")
"""An escaped ASCII character in a text that is not JSON as a whole, such as a log line that quotes JSON."""


def unescape(value: bytes) -> bytes:
    """Return a text with its `\\u00XX` escapes of ASCII characters resolved."""
    return SUSPICIOUS.sub(lambda match: bytes((int(match.group(1), 16),)), value)
