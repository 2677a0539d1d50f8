"""Where cells sit in answers, and how masked ones are re-framed.

DataRow: 'D', length, int16 columns, then int32 size (-1 for NULL) and bytes a cell (manual, "Message Formats"). The
walk is compiled; cells that owe nothing are never looked at, and a chunk is joined once.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from checkrein.core.errors import MaskError, ProtocolError
from checkrein.core.framing import int32_at
from checkrein.core.limits import MASK_MEMO, MASK_MEMO_BYTES, ROW_COLUMNS
from checkrein.core.maskplan import MaskFunction, MaskPlan
from checkrein.core.side import Side
from checkrein.protocols.postgres.cells import CellRewriter, mask_leaf, scan_leaf
from checkrein.protocols.postgres.messages import RowColumn
from checkrein.protocols.postgres.values import Types, base_type, codec_of, column_infos, is_text

__all__ = ["RowColumn", "RowMasker", "column_infos", "parse_row_description", "sample_rows"]

NULL_CELL: Final = b"\xff\xff\xff\xff"
_PACKED: Final[list[bytes]] = [size.to_bytes(4, "big") for size in range(4096)]
_NOTHING: Final = b""


def pack32(number: i64) -> bytes:
    """Return an unsigned 32-bit integer in network order; small ones from a table."""
    if number < 4096:
        return _PACKED[number]
    whole: int = number
    return whole.to_bytes(4, "big")


def parse_row_description(payload: bytes) -> tuple[RowColumn, ...]:
    """Read a RowDescription's payload. Raises ProtocolError unless it is exactly its fields."""
    if len(payload) < 2:
        raise _bad_description()
    count = int.from_bytes(payload[:2], "big")
    if count > ROW_COLUMNS:
        raise _bad_description()
    at = 2
    columns: list[RowColumn] = []
    for _ in range(count):
        end = payload.find(b"\0", at)
        if end < 0 or len(payload) - end < 19:
            raise _bad_description()
        columns.append(_column(payload[at:end], payload, end + 1))
        at = end + 19
    if at != len(payload):
        raise _bad_description()
    return tuple(columns)


def _bad_description() -> ProtocolError:
    return ProtocolError("a malformed RowDescription", Side.TARGET, "08P01")


def _column(name: bytes, payload: bytes, at: int) -> RowColumn:
    form = int.from_bytes(payload[at + 16 : at + 18], "big")
    if form > 1:
        raise _bad_description()
    return RowColumn(
        name.decode("utf-8", "replace"),
        int32_at(payload, at),
        int.from_bytes(payload[at + 4 : at + 6], "big", signed=True),
        int32_at(payload, at + 6),
        int.from_bytes(payload[at + 10 : at + 12], "big", signed=True),
        int.from_bytes(payload[at + 12 : at + 16], "big", signed=True),
        form,
    )


BLOCK_CELLS: Final = 64
"""Cells that are asked about together after a hit: few enough to read, many enough to be asked at once."""


class RowMasker:
    """Rewrites runs of DataRow frames under one result set's plan. One per result set; `plan.counts` is counted up.

    `columns` are those of the RowDescription in force, with the formats that the portal was bound with. `encoding` is
    the session's client encoding: UTF8, LATIN1 or SQL_ASCII.
    """

    def __init__(self, plan: MaskPlan, columns: tuple[RowColumn, ...], types: Types, encoding: str = "UTF8") -> None:
        if len(plan.columns) != len(columns):
            raise MaskError("the mask plan is for another number of columns")
        self._plan = plan
        self._columns: i64 = len(columns)
        self._masks: list[CellRewriter | None] = [None] * len(columns)
        self._scans: list[CellRewriter | None] = [None] * len(columns)
        self._plain: list[MaskFunction | None] = [None] * len(columns)
        self._memos: list[dict[bytes, bytes]] = [{} for _ in columns]
        self._labels: list[str] = [one.label if one is not None else "" for one in plan.columns]
        self._owes: list[bool] = [False] * len(columns)
        self._last_scan: i64 = -1
        self._last_mask: i64 = -1
        for at, (duty, column) in enumerate(zip(plan.columns, columns, strict=True)):
            if duty is None:
                continue
            if duty.mask is not None:
                leaf = mask_leaf(duty.mask, encoding)
                self._masks[at] = CellRewriter(column.type_oid, column.format == 1, types, leaf, True)
                if encoding != "LATIN1" and is_text(base_type(column.type_oid, types), types):
                    self._plain[at] = duty.mask
                self._owes[at] = True
                self._last_mask = at
            elif duty.scan and plan.scanner is not None:
                leaf = scan_leaf(plan.scanner, duty.label or column.name, plan.counts, encoding)
                self._scans[at] = CellRewriter(column.type_oid, column.format == 1, types, leaf, False)
                self._last_scan = at

    def rewrite(self, buffer: bytes, start: i64, end: i64) -> bytes:
        """Return the rows of `buffer[start:end]`, which must be whole DataRow frames, masked.

        Raises MaskError when a row is not what its description says or a cell cannot be masked (I5); nothing of the run
        may be sent then.
        """
        found: list[list[bytes]] | None = None
        last: i64 = self._last_mask
        if self._last_scan >= 0:
            found = self._scan(buffer, start, end)
            if found is not None and self._last_scan > last:
                last = self._last_scan
        if last < 0:
            return buffer[start:end]
        return self._write(buffer, start, end, last, found)

    def _scan(self, buffer: bytes, start: i64, end: i64) -> list[list[bytes]] | None:
        """Return, for every column in which something was found, the framed new cells (empty: unchanged); else None.

        Stage one sees the cells of a column joined by line feeds, not the raw frames: there a size byte or the type
        byte of the next row may be a letter or digit, and a detector that asks for a word boundary would say no. Where
        escapes or doubled quotes could hide something from it, every cell is read.
        """
        cells = self._gather(buffer, start, end)
        found: list[list[bytes]] = [[] for _ in range(self._columns)]
        any_found = False
        for at in range(self._columns):
            rewriter = self._scans[at]
            if rewriter is None or not cells[at]:
                continue
            if self._suspect(rewriter, b"\n".join(cells[at])):
                new = self._read(rewriter, cells[at])
                if new is not None:
                    found[at] = new
                    any_found = True
        return found if any_found else None

    def _read(self, rewriter: CellRewriter, cells: list[bytes]) -> list[bytes] | None:
        """Stage two for one column's cells; None when nothing was found.

        A hit over thousands of cells is narrowed down by asking stage one again block by block: only the cells of a
        block that hits are read.
        """
        out: list[bytes] = []
        changed = False
        first: i64 = 0
        count: i64 = len(cells)
        while first < count:
            block = cells[first : first + BLOCK_CELLS]
            first += BLOCK_CELLS
            if count > BLOCK_CELLS and not self._suspect(rewriter, b"\n".join(block)):
                out.extend([_NOTHING] * len(block))
                continue
            for cell in block:
                new = carefully(rewriter, cell) if cell else cell
                if new is cell or new == cell:
                    out.append(_NOTHING)
                else:
                    out.append(NULL_CELL if new is None else pack32(len(new)) + new)
                    changed = True
        return out if changed else None

    def _suspect(self, rewriter: CellRewriter, joined: bytes) -> bool:
        """Whether cells joined by line feeds must be read one by one."""
        scanner = self._plan.scanner
        assert scanner is not None
        return rewriter.needs_reading or b"\\" in joined or b'""' in joined or scanner.hit(joined)

    def _gather(self, buffer: bytes, start: i64, end: i64) -> list[list[bytes]]:
        """Return the cells of every column to be scanned, row by row; NULL is empty."""
        lists: list[list[bytes]] = [[] for _ in range(self._columns)]
        wanted: list[bool] = [one is not None for one in self._scans]
        last: i64 = self._last_scan
        at: i64 = start
        while at < end:
            stop: i64 = self._row(buffer, at, end)
            cell: i64 = at + 7
            column: i64 = 0
            while column <= last:
                size: i64 = self._size(buffer, cell, stop)
                if wanted[column]:
                    if size < 0:
                        lists[column].append(_NOTHING)
                    else:
                        lists[column].append(buffer[cell + 4 : cell + 4 + size])
                cell += 4
                if size > 0:
                    cell += size
                column += 1
            at = stop
        return lists

    def _row(self, buffer: bytes, at: i64, end: i64) -> i64:
        """Return the end of the row at an offset, having checked that it is one of ours."""
        if end - at < 7 or buffer[at] != 0x44:
            raise MaskError("a row is not a whole DataRow")
        stop: i64 = at + 1 + int32_at(buffer, at + 1)
        if stop > end or stop < at + 7 or ((buffer[at + 5] << 8) | buffer[at + 6]) != self._columns:
            raise MaskError("a row is not what its description says")
        return stop

    def _size(self, buffer: bytes, cell: i64, stop: i64) -> i64:
        """Return the size of the cell whose size field is at an offset; -1 for NULL."""
        if stop - cell < 4:
            raise MaskError("a cell is cut off")
        size: i64 = int32_at(buffer, cell)
        if size == 0xFFFFFFFF:
            return -1
        if size > stop - cell - 4:
            raise MaskError("a cell is cut off")
        return size

    def _write(self, buffer: bytes, start: i64, end: i64, last: i64, found: list[list[bytes]] | None) -> bytes:
        parts: list[bytes] = []
        counts: list[int] = [0] * self._columns
        copied: i64 = start
        at: i64 = start
        row: i64 = 0
        while at < end:
            stop: i64 = self._row(buffer, at, end)
            cell: i64 = at + 7
            header: i64 = -1
            grown: i64 = 0
            column: i64 = 0
            while column <= last:
                size: i64 = self._size(buffer, cell, stop)
                after: i64 = cell + 4
                if size >= 0:
                    after += size
                    new = _NOTHING
                    if self._owes[column]:
                        new = self._masked(column, buffer[cell + 4 : after])
                        counts[column] += 1
                    elif found is not None and found[column]:
                        new = found[column][row]
                    if new:
                        change: i64 = len(new) - (after - cell)
                        if header < 0 and (change != 0 or column < last):
                            parts.append(buffer[copied : at + 1])
                            header = len(parts)
                            parts.append(_NOTHING)
                            copied = at + 5
                        parts.append(buffer[copied:cell])
                        parts.append(new)
                        copied = after
                        grown += change
                cell = after
                column += 1
            if header >= 0:
                parts[header] = pack32(stop - at - 1 + grown)
            at = stop
            row += 1
        self._count(counts)
        if not parts:
            return buffer[start:end]
        parts.append(buffer[copied:end])
        return _NOTHING.join(parts)

    def _masked(self, column: i64, value: bytes) -> bytes:
        """Return the framed new cell of a masked column."""
        memo = self._memos[column]
        known = memo.get(value)
        if known is not None:
            return known
        rewriter: MaskFunction | None = self._plain[column]
        if rewriter is None:
            rewriter = self._masks[column]
        assert rewriter is not None
        new = carefully(rewriter, value)
        framed = NULL_CELL if new is None else pack32(len(new)) + new
        if len(value) <= MASK_MEMO_BYTES:
            if len(memo) >= MASK_MEMO:
                memo.clear()
            memo[value] = framed
        return framed

    def _count(self, counts: list[int]) -> None:
        totals = self._plan.counts
        for label, count in zip(self._labels, counts, strict=True):
            if count:
                totals[label] = totals.get(label, 0) + count


def carefully(rewriter: MaskFunction, value: bytes) -> bytes | None:
    """Rewrite one cell. Raises MaskError for any failure, which does not carry the value."""
    try:
        return rewriter(value)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a mask, the cell must not pass
        failure = type(error).__name__
    # Outside the handler: compiled, `from None` keeps the context, whose text may hold the value (tried).
    raise MaskError(f"a cell cannot be masked ({failure})")


def sample_rows(
    rows: bytes, columns: tuple[RowColumn, ...], types: Types, count: int, size: int
) -> tuple[tuple[str | None, ...], ...]:
    """Return the first `count` rows of whole DataRow frames as texts, as the client got them, in about `size` bytes.

    Binary values are shown in text form where the type is known, else as hex. Cells beyond `size` are cut.
    """
    found: list[tuple[str | None, ...]] = []
    at = 0
    left = size
    while at + 7 <= len(rows) and rows[at] == 0x44 and len(found) < count and left > 0:
        cell = at + 7
        texts: list[str | None] = []
        for column in columns:
            length = int32_at(rows, cell)
            cell += 4
            if length == 0xFFFFFFFF:
                texts.append(None)
                continue
            text = _shown(rows[cell : cell + length], column, types, max(left, 0))
            texts.append(text)
            left -= len(text)
            cell += length
        found.append(tuple(texts))
        at += 1 + int32_at(rows, at + 1)
    return tuple(found)


def _shown(value: bytes, column: RowColumn, types: Types, most: int) -> str:
    if column.format == 1:
        codec = codec_of(column.type_oid, types)
        try:
            value = codec[0](value) if codec is not None else b"\\x" + value[:most].hex().encode()
        except ValueError:
            value = b"\\x" + value[:most].hex().encode()
    return value[:most].decode("utf-8", "replace")
