"""The `partial` mask: the first and last characters of a text stay, the others become stars.

It stands here, below masks and protocols, because a protocol may write the stars straight into an answer: ASCII values
keep their size, so that nothing else of a row moves. Compiled when the wheel is built.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

_DIGIT: Final = 1
_CAPITAL: Final = 2
_BETWEEN: Final = 4
_OTHER: Final = 8
_WIDE: Final = 16
_SEPARATORS: Final = b"-.()/+: "
_DIGITS: Final = b"0123456789"
_CODE: Final = _DIGITS + _SEPARATORS + bytes(range(65, 91))
SHORT_BYTES: Final = 256
"""Values up to this long are looked at byte by byte; longer ones by the bulk methods of bytes."""


def _kind(byte: int) -> int:
    if 48 <= byte <= 57:
        return _DIGIT
    if 65 <= byte <= 90:
        return _CAPITAL
    if byte in _SEPARATORS:
        return _BETWEEN
    return _OTHER if byte < 128 else _WIDE


_KINDS: Final[bytes] = bytes([_kind(byte) for byte in range(256)])
_COVERED: Final[bytes] = bytes([byte if byte in _SEPARATORS else 42 for byte in range(256)])
_STARS: Final[list[bytes]] = [b"*" * size for size in range(SHORT_BYTES + 1)]


class Partial:
    """Keeps the first `keep_first` and last `keep_last` characters of texts; calling it masks one (UTF-8) text.

    Separators stay where the rest is digits and capitals, and are not counted there. A value of which less than half
    would be hidden is hidden whole. `begin` is where what `hidden` returned last belongs.
    """

    def __init__(self, keep_first: int, keep_last: int) -> None:
        self._first: i64 = max(0, min(keep_first, 1 << 30))
        self._last: i64 = max(0, min(keep_last, 1 << 30))
        self.begin: i64 = 0

    def __call__(self, value: bytes) -> bytes:
        """Return the masked text."""
        stars = self.hidden(value, 0, len(value))
        if stars is None:
            return self._by_character(value.decode("utf-8", "replace")).encode()
        begin: i64 = self.begin
        return value[:begin] + stars + value[begin + len(stars) :]

    def hidden(self, buffer: bytes, start: i64, end: i64) -> bytes | None:
        """Return what takes the place of the hidden bytes of `buffer[start:end]`, from `begin` on, as many as they are.

        None when the value is not ASCII: then it is to be masked by itself.
        """
        size: i64 = end - start
        between: i64 = _between(buffer, start, end) if size <= SHORT_BYTES else _between_long(buffer[start:end])
        if between < 0:
            return None
        first: i64 = self._first
        last: i64 = self._last
        if 2 * (first + last) > size - between:
            first = last = 0
        if between == 0:
            self.begin = start + first
            count: i64 = size - first - last
            return _STARS[count] if count <= SHORT_BYTES else b"*" * count
        self.begin = _skip(buffer, start, first)
        return buffer[self.begin : _skip_back(buffer, end, last)].translate(_COVERED)

    def _by_character(self, text: str) -> str:
        """Do the same for characters of any alphabet."""
        code = any(char.isdigit() for char in text) and all(_is_code(char) for char in text)
        signs = [place for place, char in enumerate(text) if char.isalnum() or not code]
        first, last = self._first, self._last
        if 2 * (first + last) > len(signs):
            first = last = 0
        hidden = set(signs[first : len(signs) - last])
        return "".join(["*" if place in hidden else char for place, char in enumerate(text)])


def _is_code(char: str) -> bool:
    """Say whether a character may be part of a card or account number: a digit, a capital, a separator."""
    return char.isdigit() or "A" <= char <= "Z" or (char.isascii() and ord(char) in _SEPARATORS)


def _between(buffer: bytes, start: i64, end: i64) -> i64:
    """Return how many separators of a code a value has, 0 when it is no code, -1 when it is not ASCII."""
    seen: i64 = 0
    count: i64 = 0
    at: i64 = start
    while at < end:
        byte: i64 = buffer[at]
        kind: i64 = _KINDS[byte]
        if kind == _BETWEEN:
            count += 1
        seen |= kind
        at += 1
    if seen & _WIDE:
        return -1
    return 0 if seen & _OTHER or not seen & _DIGIT else count


def _between_long(value: bytes) -> i64:
    """Say the same of a long value."""
    if not value.isascii():
        return -1
    if value.translate(None, _CODE) or value == value.translate(None, _DIGITS):
        return 0
    return len(value) - len(value.translate(None, _SEPARATORS))


def _skip(buffer: bytes, at: i64, count: i64) -> i64:
    """Return where `count` characters from an offset on end, separators not counted."""
    while count > 0:
        byte: i64 = buffer[at]
        kind: i64 = _KINDS[byte]
        if kind != _BETWEEN:
            count -= 1
        at += 1
    return at


def _skip_back(buffer: bytes, at: i64, count: i64) -> i64:
    """Return where `count` characters that end at an offset begin, separators not counted."""
    while count > 0:
        at -= 1
        byte: i64 = buffer[at]
        kind: i64 = _KINDS[byte]
        if kind != _BETWEEN:
            count -= 1
    return at
