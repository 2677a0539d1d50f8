"""Detectors compiled together: stage one over whole chunks, stage two in one value.

A set is compiled once per list of detectors and shared by everybody; what a policy does not ask for is not compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import hyperscan
import re2

from checkrein.core import limits
from checkrein.masking.detectors import Detector
from checkrein.masking.detectors.base import Confirm, Sign

# Escapes behind which a value could hide from stage one: JSON's `\uXXXX` of ASCII and of the separators that detectors
# know, hexadecimal bytea, octal bytea escapes. They make stage one say yes, so that stage two reads the decoded value.
_ESCAPES = (
    Sign(rb"\\u(?:00[2-7aA]|20[0-2]|2212)", needle=b"\\"),
    Sign(rb"\\x[0-9a-fA-F]{8}", needle=b"\\"),
    Sign(rb"\\[0-3][0-7]{2}", needle=b"\\"),
)
_CUSTOM_ESCAPES = (Sign(rb"\\", needle=b"\\"), Sign(rb'""', needle=b'""'))
"""A policy's own pattern may match quotes, backslashes and control characters: any escape may hide it."""


SHORT_NUMBER: Final = 6
"""Digits that are too few for every detector of ours, a column's name aside: most parameters are such numbers."""


class _Report:
    """What a match of one pattern of stage one says: the detectors that may find something, if it is confirmed."""

    __slots__ = ("confirm", "detectors")

    def __init__(self, detectors: frozenset[int], confirm: Confirm | None) -> None:
        self.detectors = detectors
        self.confirm = confirm


class _Bank:
    """Patterns compiled together, because they share a needle or a nature: automata of one kind are faster alone."""

    __slots__ = ("database", "needle", "reports")

    def __init__(self, needle: bytes, signs: list[tuple[Sign, frozenset[int]]]) -> None:
        self.needle = needle
        self.reports = [_Report(detectors, sign.confirm) for sign, detectors in signs]
        self.database = _compile([sign.source for sign, _ in signs])

    def scan(self, chunk: bytes, scan: _Scan) -> None:
        """Report to a scan. Raises hyperscan.error when a report ends it, or the scratch space is in use."""
        if not self.needle or chunk.find(self.needle) >= 0:  # `in` takes its left side for a number first, at length
            scan.reports = self.reports
            self.database.scan(chunk, _report, 0, scan)


class _Scan:
    """What the reports of one scan find. `stop`: the first is enough; `each`: their places count, else who it was."""

    __slots__ = ("chunk", "each", "end", "found", "left", "line", "places", "reports", "stop")

    def __init__(self, chunk: bytes, stop: bool, each: bool) -> None:
        self.chunk = chunk
        self.stop = stop
        self.each = each
        self.found: set[int] = set()
        self.places: list[int] = []
        self.reports: list[_Report] = []
        self.left = limits.STAGE_ONE_REPORTS
        self.line = 0
        self.end = -1

    def take(self, report: _Report, end: int) -> bool:
        """Take one match; True ends the scan, with an error. Of a line that is known, nothing more is asked."""
        self.left -= 1
        if self.left < 0:
            return True
        if self.each and self.line < end <= self.end:
            return False
        if report.confirm is not None and not report.confirm(self.chunk, end):
            return False
        if self.each:
            self.places.append(end)
            self.line = self.chunk.rfind(b"\n", 0, end) + 1
            stop = self.chunk.find(b"\n", end)
            self.end = stop if stop >= 0 else len(self.chunk)
        else:
            self.found |= report.detectors
        return self.stop


def _report(ident: int, start: int, end: int, flags: int, scan: _Scan) -> bool:
    return scan.take(scan.reports[ident], end)


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
        self._plain = not self._custom and not active
        self._banks = self._compiled(active)

    def _compiled(self, active: frozenset[int]) -> list[_Bank]:
        """Return every pattern once, with all the detectors that ask for it, in banks."""
        words: dict[Sign, set[int]] = {}
        others: dict[Sign, set[int]] = {}
        for index, one in enumerate(self.detectors):
            for source in one.stage_one:
                words.setdefault(Sign(source), set()).add(index)
            near = one.near_stage_one if index in active else ()
            for sign in (*one.signs, *[Sign(source) for source in near]):
                others.setdefault(sign, set()).add(index)
        for sign in _ESCAPES + _CUSTOM_ESCAPES if self._custom else _ESCAPES:
            others[sign] = set(self.everything)
        banks: dict[bytes, list[tuple[Sign, frozenset[int]]]] = {}
        for sign, indices in others.items():
            banks.setdefault(sign.needle, []).append((sign, frozenset(indices)))
        found = [_Bank(needle, signs) for needle, signs in banks.items()]
        return [_Bank(b"", [(sign, frozenset(indices)) for sign, indices in words.items()]), *found] if words else found

    def hit(self, chunk: bytes) -> bool:
        """Say whether anything may be found in values joined by line feeds; never a false no."""
        if len(chunk) <= SHORT_NUMBER and self._plain and chunk.isdigit():
            return False
        scan = _Scan(chunk, True, False)
        try:
            for bank in self._banks:
                bank.scan(chunk, scan)
        except hyperscan.error:  # ended by a match; or another thread holds the scratch space, which is a yes
            return True
        return bool(scan.found) or any(pattern.search(chunk) is not None for _, pattern in self._custom)

    def places(self, chunk: bytes) -> list[int] | None:
        """Return where in values joined by line feeds something may be found, as ascending offsets; None: anywhere.

        A value of which no byte from its first to the line feed behind it has such an offset as its end holds nothing.
        """
        scan = _Scan(chunk, False, True)
        try:
            for bank in self._banks:
                bank.scan(chunk, scan)
        except hyperscan.error:
            return None
        for _, pattern in self._custom:
            for match in pattern.finditer(chunk):
                scan.places += _lines(chunk, match.start(), match.end())
        scan.places.sort()
        return scan.places

    def candidates(self, value: bytes) -> frozenset[int]:
        """Return the indices of detectors that may find something in a value."""
        scan = _Scan(value, False, False)
        try:
            for bank in self._banks:
                bank.scan(value, scan)
        except hyperscan.error:
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
            for index in sorted(candidates)
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


def _lines(chunk: bytes, start: int, end: int) -> list[int]:
    """Return an offset in every line that a match touches: one that begins in it may be hidden by this match."""
    places = [end]
    at = chunk.find(b"\n", start, end)
    while at >= 0:
        places.append(at)
        at = chunk.find(b"\n", at + 1, end)
    return places


def _compile(sources: list[bytes]) -> Any:
    """Compile patterns whose reports carry their index: block mode, every end of a match, no start."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=sources,
            ids=list(range(len(sources))),
            elements=len(sources),
            flags=[int(hyperscan.HS_FLAG_DOTALL)] * len(sources),
        )
    except hyperscan.error as error:
        raise ValueError(f"detectors do not compile: {error}") from None
    return database


SUSPICIOUS = re.compile(rb"\\u(00[2-7][0-9a-fA-F])")
"""An escaped ASCII character in a text that is not JSON as a whole, such as a log line that quotes JSON."""


def unescape(value: bytes) -> bytes:
    """Return a text with its `\\u00XX` escapes of ASCII characters resolved."""
    return SUSPICIOUS.sub(lambda match: bytes((int(match.group(1), 16),)), value)
