"""What stands behind the masking of rows: the pieces that a run is joined of, and a memory for values that repeat."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from checkrein.core.limits import MASK_MEMO, MASK_MEMO_BYTES

NULL_CELL: Final = b"\xff\xff\xff\xff"
NOTHING: Final = b""
_PACKED: Final[list[bytes]] = [size.to_bytes(4, "big") for size in range(4096)]


def pack32(number: i64) -> bytes:
    """Return an unsigned 32-bit integer in network order; small ones from a table."""
    if number < 4096:
        return _PACKED[number]
    whole: int = number
    return whole.to_bytes(4, "big")


def framed(value: bytes | None) -> bytes:
    """Return a cell as it stands in a row."""
    return NULL_CELL if value is None else pack32(len(value)) + value


class RowWriter:
    """Pieces of one run of rows: what is new in some cells, and between them slices of the buffer as they are.

    `row` comes before the cells of a row, `close` behind them; cells come in order. A row's own size is written anew
    when a cell changed its size.
    """

    def __init__(self, buffer: bytes, start: i64) -> None:
        self._buffer = buffer
        self._parts: list[bytes] = []
        self._copied: i64 = start
        self._at: i64 = start
        self._header: i64 = -1  # the part that stands for this row's size, once a cell was put
        self._opened: i64 = -1  # the part that holds it otherwise, and the offset at which that part begins
        self._origin: i64 = start
        self._grown: i64 = 0

    def row(self, at: i64) -> None:
        """A row begins."""
        self._at = at
        self._header = -1
        self._opened = -1
        self._grown = 0

    def cover(self, begin: i64, stars: bytes) -> None:
        """Let other bytes stand in the place of as many."""
        if self._opened < 0:
            self._opened = len(self._parts)
            self._origin = self._copied
        self._parts.append(self._buffer[self._copied : begin])
        self._parts.append(stars)
        self._copied = begin + len(stars)

    def put(self, cell: i64, after: i64, new: bytes) -> None:
        """Let a framed cell stand in the place of another."""
        if self._header < 0 and self._opened < 0:
            self._parts.append(self._buffer[self._copied : self._at + 1])
            self._header = len(self._parts)
            self._parts.append(NOTHING)
            self._copied = self._at + 5
        self._parts.append(self._buffer[self._copied : cell])
        self._parts.append(new)
        self._copied = after
        self._grown += len(new) - (after - cell)

    def close(self, stop: i64) -> None:
        """A row ends."""
        size: i64 = stop - self._at - 1 + self._grown
        if self._header >= 0:
            self._parts[self._header] = pack32(size)
        elif self._grown != 0:
            part = self._parts[self._opened]
            place: i64 = self._at + 1 - self._origin
            self._parts[self._opened] = part[:place] + pack32(size) + part[place + 4 :]

    def joined(self, end: i64) -> bytes:
        """Return the run, whose last row ends at an offset."""
        if not self._parts:
            return self._buffer[self._copied : end]
        self._parts.append(self._buffer[self._copied : end])
        return NOTHING.join(self._parts)


class Memo:
    """Framed new cells by value, for values that repeat; it gives up where they do not."""

    def __init__(self) -> None:
        self._cells: dict[bytes, bytes] = {}
        self._found: i64 = 0
        self._useful = True

    def get(self, value: bytes) -> bytes | None:
        """Return the new cell of a value that is remembered."""
        if not self._useful:
            return None
        known = self._cells.get(value)
        if known is not None:
            self._found += 1
        return known

    def keep(self, value: bytes, new: bytes) -> None:
        """Remember a cell. When there are too many, begin anew, or stop where fewer than one in eight was found."""
        if not self._useful or len(value) > MASK_MEMO_BYTES:
            return
        if len(self._cells) >= MASK_MEMO:
            self._useful = self._found >= MASK_MEMO // 8
            self._found = 0
            self._cells.clear()
        self._cells[value] = new
