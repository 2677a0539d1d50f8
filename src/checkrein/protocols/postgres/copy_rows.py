"""The three formats of COPY TO STDOUT: rows cut out of a byte stream, and cells between raw and text form.

Manual, "COPY", File Formats. A raw cell is what stands on the wire: escaped, quoted, or with its size in front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from checkrein.core.errors import MaskError
from checkrein.core.framing import int32_at

_NULL_CELL: Final = b"\xff\xff\xff\xff"
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_ESCAPES: Final = {0x62: b"\b", 0x66: b"\f", 0x6E: b"\n", 0x72: b"\r", 0x74: b"\t", 0x76: b"\v"}
_HEADER: Final = {"true": True, "on": True, "1": True, "match": True, "false": False, "off": False, "0": False}


def _has_header(options: Mapping[str, str]) -> bool:
    """Say whether the first line is a header. Raises MaskError for a value that is not known: it would be a row."""
    given = options.get("header", "false").lower()
    if given not in _HEADER:
        raise MaskError("whether a COPY answer begins with a header is not known")
    return _HEADER[given]


class CopyRows(Protocol):
    """One format. `take` cuts whole rows; offsets are bytes."""

    def head(self, data: bytes) -> int:
        """Return the size of what stands before the first row, -1 while it is not all there."""

    def take(self, data: bytes, at: int) -> tuple[list[bytes] | None, int]:
        """Return (raw cells, end) of the row at an offset, (None, end) for a trailer; end is -1: not whole."""

    def decode(self, raw: bytes) -> bytes | None:
        """Return a raw cell's value, None for NULL."""

    def encode(self, value: bytes | None) -> bytes:
        """Return the raw cell of a value."""

    def row(self, cells: list[bytes]) -> bytes:
        """Return the row of raw cells."""


def _one(options: Mapping[str, str], name: str, default: str) -> bytes:
    given = options.get(name, default).encode()
    if len(given) != 1:
        raise MaskError(f"COPY {name} must be one byte")
    return given


class TextRows:
    """FORMAT text: rows end at a line feed, which is always escaped inside a value."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._delimiter = _one(options, "delimiter", "\t")
        self._null_text = options.get("null", "\\N").encode()
        self._header = _has_header(options)

    def head(self, data: bytes) -> int:
        """The header line, if asked for."""
        return _line_end(data, 0) if self._header else 0

    def take(self, data: bytes, at: int) -> tuple[list[bytes] | None, int]:
        """One line."""
        end = _line_end(data, at)
        return (_cut(data[at : end - 1], self._delimiter) if end >= 0 else []), end

    def decode(self, raw: bytes) -> bytes | None:
        """Take escapes away; the null string is compared before."""
        if raw == self._null_text:
            return None
        if b"\\" not in raw:
            return raw
        out = bytearray()
        at = 0
        while at < len(raw):
            byte = raw[at]
            if byte == 0x5C:
                at += 1
                if at >= len(raw):
                    raise MaskError("a COPY row ends inside an escape")
                out += _ESCAPES.get(raw[at], raw[at : at + 1])
            else:
                out.append(byte)
            at += 1
        return bytes(out)

    def encode(self, value: bytes | None) -> bytes:
        """Escape as the server does."""
        if value is None:
            return self._null_text
        value = value.replace(b"\\", b"\\\\")
        for letter, byte in _ESCAPES.items():
            value = value.replace(byte, b"\\" + bytes([letter]))
        return value if self._delimiter == b"\t" else value.replace(self._delimiter, b"\\" + self._delimiter)

    def row(self, cells: list[bytes]) -> bytes:
        """One line."""
        return self._delimiter.join(cells) + b"\n"


def _line_end(data: bytes, at: int) -> int:
    return data.find(b"\n", at) + 1 or -1


def _cut(line: bytes, delimiter: bytes) -> list[bytes]:
    """Split at delimiters that no backslash escapes."""
    if b"\\" not in line:
        return line.split(delimiter)
    cells: list[bytes] = []
    start = at = 0
    while at < len(line):
        if line[at] == 0x5C:
            at += 1
        elif line[at] == delimiter[0]:
            cells.append(line[start:at])
            start = at + 1
        at += 1
    return [*cells, line[start:]]


class CsvRows:
    """FORMAT csv: a line feed or delimiter inside quotes belongs to the value."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._delimiter = _one(options, "delimiter", ",")
        self._quote = _one(options, "quote", '"')
        self._escape = _one(options, "escape", self._quote.decode())
        self._null_text = options.get("null", "").encode()
        self._header = _has_header(options)

    def head(self, data: bytes) -> int:
        """The header line, if asked for; names may be quoted."""
        return self.take(data, 0)[1] if self._header else 0

    def take(self, data: bytes, at: int) -> tuple[list[bytes] | None, int]:
        """One record; most have no quotes, and then it is one line."""
        end = _line_end(data, at)
        if end >= 0 and self._quote not in data[at:end]:
            return data[at : end - 1].split(self._delimiter), end
        cells: list[bytes] = []
        quote, escape, delimiter = self._quote[0], self._escape[0], self._delimiter[0]
        start = at
        inside = False
        while at < len(data):
            byte = data[at]
            if inside and byte == escape and escape != quote and data[at + 1 : at + 2] in (self._quote, self._escape):
                at += 1
            elif byte == quote:
                inside = not inside
            elif not inside and byte in (delimiter, 0x0A):
                cells.append(data[start:at])
                start = at + 1
                if byte == 0x0A:
                    return cells, at + 1
            at += 1
        return [], -1

    def decode(self, raw: bytes) -> bytes | None:
        """Take quotes away; only an unquoted null string is NULL."""
        if raw == self._null_text:
            return None
        if raw[:1] != self._quote:
            return raw
        inner = raw[1:-1]
        out = bytearray()
        at = 0
        while at < len(inner):
            if inner[at] == self._escape[0] and inner[at + 1 : at + 2] in (self._quote, self._escape):
                at += 1
            out.append(inner[at])
            at += 1
        return bytes(out)

    def encode(self, value: bytes | None) -> bytes:
        """Quote always, so that no value can be taken for NULL or for two."""
        if value is None:
            return self._null_text
        if self._escape != self._quote:
            value = value.replace(self._escape, self._escape * 2)
        return self._quote + value.replace(self._quote, self._escape + self._quote) + self._quote

    def row(self, cells: list[bytes]) -> bytes:
        """One record."""
        return self._delimiter.join(cells) + b"\n"


class BinaryRows:
    """FORMAT binary: signature, flags and extension, then (count, cells) a row, then a count of -1."""

    def head(self, data: bytes) -> int:
        """The header, which shares the first row's CopyData. Raises MaskError for flags that change the rows."""
        if len(data) < 19:
            return -1
        if data[:11] != _SIGNATURE or data[11:15] != bytes(4):
            raise MaskError("a COPY header of another kind")
        size = 19 + int32_at(data, 15)
        return size if size <= len(data) else -1

    def take(self, data: bytes, at: int) -> tuple[list[bytes] | None, int]:
        """One row, or the trailer."""
        if len(data) - at < 2:
            return [], -1
        count = (data[at] << 8) | data[at + 1]
        at += 2
        if count == 0xFFFF:
            return None, at
        cells: list[bytes] = []
        for _ in range(count):
            if len(data) - at < 4:
                return [], -1
            size = int32_at(data, at)
            end = at + 4 + (0 if size == 0xFFFFFFFF else size)
            if end > len(data):
                return [], -1
            cells.append(data[at:end])
            at = end
        return cells, at

    def decode(self, raw: bytes) -> bytes | None:
        """Take the size away."""
        return None if raw == _NULL_CELL else raw[4:]

    def encode(self, value: bytes | None) -> bytes:
        """Put the size in front."""
        return _NULL_CELL if value is None else len(value).to_bytes(4, "big") + value

    def row(self, cells: list[bytes]) -> bytes:
        """One row."""
        return len(cells).to_bytes(2, "big") + b"".join(cells)


def rows_of(form: str, options: Mapping[str, str]) -> CopyRows:
    """Return the format of a COPY: text, csv or binary. Raises MaskError for another."""
    if form == "csv":
        return CsvRows(options)
    if form == "binary":
        return BinaryRows()
    if form != "text":
        raise MaskError(f"COPY format {form!r} is not known")
    return TextRows(options)
