"""Detectors that a policy defines: a pattern (RE2) or words, with an optional checksum and context words.

Stage one is the same RE2 pattern without its zero-width assertions. RE2 has no look-around and no negation of a
sub-pattern, so dropping them only widens what matches: stage one never gives a false no.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

from checkrein.core.verdict import CustomDetector
from checkrein.masking.detectors.base import Detector, Span, any_of, in_context, luhn, mod97, only_digits

_NOT_ALNUM = re.compile(rb"[^0-9A-Za-z]+")


def _mod11(value: bytes) -> bool:
    """Say whether the weighted digits leave 0 modulo 11, a final X being ten (ISO 7064 style, as in ISBN-10)."""
    compact = _NOT_ALNUM.sub(b"", value).upper()
    if not compact[:-1].isdigit() or not (compact[-1:].isdigit() or compact[-1:] == b"X"):
        return False
    numbers = [10 if byte == 88 else byte - 48 for byte in compact]
    return sum(weight * number for weight, number in enumerate(reversed(numbers), 1)) % 11 == 0


CHECKSUMS: dict[str, Callable[[bytes], bool]] = {
    "luhn": lambda value: luhn(only_digits(value)),
    "mod97": lambda value: mod97(_NOT_ALNUM.sub(b"", value)),
    "mod11": _mod11,
}


def without_assertions(pattern: str) -> str:
    """Return an RE2 pattern without `^ $ \\b \\B \\A \\z`, which are taken for empty groups."""
    out: list[str] = []
    place, in_class, size = 0, False, len(pattern)
    while place < size:
        char = pattern[place]
        if pattern.startswith("\\Q", place) and not in_class:
            end = pattern.find("\\E", place)
            end = size if end < 0 else end + 2
            out.append(pattern[place:end])
            place = end
        elif char == "\\":
            pair = pattern[place : place + 2]
            out.append("(?:)" if not in_class and pair in ("\\b", "\\B", "\\A", "\\z") else pair)
            place += 2
        elif in_class:
            in_class, step = _inside_class(pattern, place)
            out.append(pattern[place : place + step])
            place += step
        elif char == "[":
            step = 2 if pattern.startswith("[^", place) else 1
            step += pattern.startswith("]", place + step)  # a bracket that stands first is itself
            out.append(pattern[place : place + step])
            in_class = True
            place += step
        else:
            out.append("(?:)" if char in "^$" else char)
            place += 1
    return "".join(out)


def _inside_class(pattern: str, place: int) -> tuple[bool, int]:
    """Return whether the class goes on after `place`, and how many characters to take."""
    if pattern.startswith("[:", place):
        end = pattern.find(":]", place)
        return True, (end + 2 - place) if end > 0 else 1
    return pattern[place] != "]", 1


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 32 << 20
    return options


def problem(definition: CustomDetector) -> str:
    """Return what is wrong with a definition, or an empty string."""
    if bool(definition.pattern) == bool(definition.words):
        return "a detector has either a pattern or words"
    if definition.checksum and definition.checksum not in CHECKSUMS:
        return f"unknown checksum {definition.checksum!r}; known are {', '.join(sorted(CHECKSUMS))}"
    if not all(definition.words) or not all(definition.near):
        return "words are never empty"
    try:
        pattern = re2.compile(_source(definition), _options())
        re2.compile(without_assertions(_source(definition)), _options())
    except re2.error as error:
        return f"not a pattern that RE2 reads: {error}"
    if pattern.search(b"") is not None or re2.compile(without_assertions(_source(definition))).search(b"") is not None:
        return "the pattern matches the empty text"
    return ""


def _source(definition: CustomDetector) -> str:
    if definition.words:
        return r"(?i)\b(?:" + "|".join(re2.escape(word) for word in definition.words) + r")\b"
    return definition.pattern


def compile_custom(definition: CustomDetector) -> Detector:
    """Return the detector of a definition. Raises ValueError with what is wrong."""
    wrong = problem(definition)
    if wrong:
        raise ValueError(wrong)
    source = _source(definition)
    pattern = re2.compile(source.encode(), _options())
    near = re.compile(rb"(?i)(?<![0-9A-Za-z])" + any_of(definition.near)) if definition.near else None
    names = re.compile(rb"(?i)" + any_of(definition.near)) if definition.near else None
    valid = CHECKSUMS.get(definition.checksum)

    def find(value: bytes, named: bool) -> list[Span]:
        return [
            (start, end)
            for start, end in (match.span() for match in pattern.finditer(value))
            if start < end
            and (valid is None or valid(value[start:end]))
            and (near is None or named or in_context(near, value, start, end))
        ]

    def is_number(digits: bytes, named: bool) -> bool:
        return named and near is not None and find(digits, True) == [(0, len(digits))]

    return Detector(
        name=definition.name,
        shape="text" if definition.words else "like",
        find=find,
        near=names,
        is_number=is_number,
        custom=without_assertions(source),
    )
