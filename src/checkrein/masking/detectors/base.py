"""What a detector is, and the regular-expression fragments that detectors share.

Detection has two stages. Stage one (Hyperscan, over a whole chunk of the wire) asks only "is there anything here"; its
chunk is whole values joined by line feeds, so that a value's border is a border there too. Stage two finds the exact
extents in one decoded value. Every span of stage two must be hit by a pattern of stage one, escapes that hide a border
included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from checkrein.masking import digits

Span = tuple[int, int]
Find = Callable[[bytes, bool], list[Span]]
IsNumber = Callable[[bytes, bool], bool]
Confirm = Callable[[bytes, int], bool]

# A separator inside a number: hyphen, dot, space, their Unicode look-alikes (U+2010..2015, U+2212) and no-break spaces.
SEPARATOR = rb"(?:[-. ]|\xe2\x80[\x90-\x95\xaf]|\xe2\x88\x92|\xc2\xa0)"

# Left border of a word. A literal `\n` (a log line quoted in a value) ends in a letter but is a border.
LEFT = rb"(?:(?<![0-9A-Za-z])|(?<=\\[nrt]))"
RIGHT = rb"(?![0-9A-Za-z])"

# Left border for stage one, which has no look-around and reads what may still be escaped (JSON's `\\b`, `\\u00e9`).
BORDER = rb"(?:^|[^0-9A-Za-z]|\\[A-Za-z]|\\u[0-9A-Fa-f]{4})"

NEAR_BEFORE = 64
NEAR_AFTER = 32
"""Bytes before and after a finding in which a context word counts."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern of stage one that is better asked for apart from the words that begin most values.

    `needle` is in every match: where a chunk lacks it, the pattern is not run; signs of one needle run together, those
    without one are made of digits. Matches count only where `confirm(chunk, end)` says so; it must say yes wherever a
    value could stand.
    """

    source: bytes
    needle: bytes = b""
    confirm: Confirm | None = None


GROUPED = Sign(digits.GROUPS, confirm=digits.grouped)
"""Numbers in three or more groups, for several detectors at once: looser than any of them."""


def never_a_number(digits: bytes, near: bool) -> bool:
    """Say no: for kinds that are never whole numbers."""
    return False


@dataclass(frozen=True, slots=True)
class Detector:
    """A recogniser of one kind of value.

    `stage_one` are Hyperscan patterns (bytes, no assertions) with literal words in them, `signs` the others.
    `near_stage_one` are compiled beside them only for result sets where a column's name matches `near` or
    `near_columns`. `find` returns the extents in one value; its second argument says that a column or JSON key names
    the kind. `is_number` judges a whole number of an integer column; without such a name it never takes one of fewer
    than `least_digits` (0: none at all). `shape` names the token's shape. `custom` is an RE2 source for stage one, for
    detectors that a policy defines.
    """

    name: str
    shape: str
    find: Find
    stage_one: tuple[bytes, ...] = ()
    near: re.Pattern[bytes] | None = None
    near_columns: re.Pattern[bytes] | None = None
    near_stage_one: tuple[bytes, ...] = ()
    is_number: IsNumber = never_a_number
    custom: str = ""
    signs: tuple[Sign, ...] = ()
    least_digits: int = 0

    def is_near(self, name: str) -> bool:
        """Say whether a column's or key's name gives context to this detector."""
        flat = name.encode("utf-8", "surrogatepass")
        if self.near is not None and self.near.search(flat):
            return True
        return self.near_columns is not None and bool(self.near_columns.search(split_words(flat)))


_CAMEL = re.compile(rb"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(rb"[^0-9a-z\x80-\xff]+")


def split_words(name: bytes) -> bytes:
    """Return a name as lower-case words between single spaces: `customerSSN_no` gives ` customer ssn no `."""
    return b" " + _NOT_WORD.sub(b" ", _CAMEL.sub(b" ", name).lower()).strip() + b" "


def in_context(near: re.Pattern[bytes], value: bytes, start: int, end: int) -> bool:
    """Say whether a context word stands close to `value[start:end]`."""
    return bool(near.search(value[max(0, start - NEAR_BEFORE) : start]) or near.search(value[end : end + NEAR_AFTER]))


def spans_of(pattern: re.Pattern[bytes], value: bytes) -> list[Span]:
    """Return the extents of all matches; of group 1 where the pattern has one that took part."""
    if not pattern.groups:
        return [match.span() for match in pattern.finditer(value)]
    return [match.span(1) if match.start(1) >= 0 else match.span() for match in pattern.finditer(value)]


def by_pattern(*sources: bytes) -> Find:
    """Return a `find` that needs no check beyond its patterns."""
    patterns = tuple(re.compile(source) for source in sources)

    def find(value: bytes, near: bool) -> list[Span]:
        return [span for pattern in patterns for span in spans_of(pattern, value)]

    return find


def only_digits(value: bytes) -> bytes:
    """Return the ASCII digits of a value."""
    return bytes(byte for byte in value if 48 <= byte <= 57)


def luhn(digits: bytes) -> bool:
    """Say whether ASCII digits end in the right Luhn check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, byte in enumerate(reversed(digits)):
        number = byte - 48
        if place % 2:
            number *= 2
            if number > 9:
                number -= 9
        total += number
    return bool(digits) and total % 10 == 0


def mod97(value: bytes) -> bool:
    """Say whether digits and letters, taken in order, leave 1 modulo 97 (ISO 7064 MOD 97-10)."""
    rest = 0
    for byte in value.upper():
        if 48 <= byte <= 57:
            rest = (rest * 10 + byte - 48) % 97
        elif 65 <= byte <= 90:
            rest = (rest * 100 + byte - 55) % 97
        else:
            return False
    return bool(value) and rest == 1


def any_of(words: Iterable[str]) -> bytes:
    """Return an alternation of literal words."""
    return b"(?:" + b"|".join(re.escape(word.encode()) for word in words) + b")"
